// Package sqltext reads the SQL that this module embeds: files of named statements, with a place holder for the schema.
package sqltext

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"

	"github.com/squidmesh/squidmesh-go/internal/echo"
	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// SchemaMark stands before each identifier that lives in a schema. It is a comment, so the files are valid SQL as they are.
const SchemaMark = "/* schema */"

// Schemas are interpolated into SQL, so their names are narrower than PostgreSQL's.
var schemaName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,45}$`)

// CheckSchema refuses names that cannot be interpolated, with an [*squidmesh.InputError]. Empty is no schema: the connection's
// search_path decides.
func CheckSchema(schema string) error {
	if schema != "" && !schemaName.MatchString(schema) {
		return &squidmesh.InputError{Field: "Schema", Code: "bad_name", Detail: fmt.Sprintf(
			"%s must be 1 to 46 lower-case letters, digits and underscores, and not begin with a digit", echo.Quote(schema),
		)}
	}
	if strings.HasPrefix(schema, "pg_") || schema == "information_schema" {
		return &squidmesh.InputError{Field: "Schema", Code: "reserved_name", Detail: fmt.Sprintf(
			"%s is PostgreSQL's own: choose a name that does not begin with pg_", echo.Quote(schema),
		)}
	}
	return nil
}

// WithSchema puts a checked schema before every marked identifier, in quotes, since it may be a word of SQL, such as user.
func WithSchema(sql, schema string) string {
	if schema == "" {
		return strings.ReplaceAll(sql, SchemaMark, "")
	}
	return strings.ReplaceAll(sql, SchemaMark, `"`+schema+`".`)
}

// include stands for the text of another statement, such as a list of columns.
var include = regexp.MustCompile(`/\* include (\w+) \*/`)

// Statements reads all .sql files of a directory. A statement begins at a line `-- name: X` and ends at the next one or at the
// end of its file; lines of comment are cut away, so that they never travel.
func Statements(files fs.FS, schema string) (map[string]string, error) {
	if err := CheckSchema(schema); err != nil {
		return nil, err
	}
	statements := map[string]string{}
	err := fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".sql") {
			return err
		}
		data, err := fs.ReadFile(files, path)
		if err != nil {
			return err
		}
		if err := split(WithSchema(string(data), schema), statements); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for name, text := range statements {
		statements[name] = include.ReplaceAllStringFunc(text, func(mark string) string {
			part, ok := statements[include.FindStringSubmatch(mark)[1]]
			if !ok {
				err = fmt.Errorf("%s: no statement %s to include", name, include.FindStringSubmatch(mark)[1])
			}
			return part
		})
	}
	return statements, err
}

// split cuts a file into its statements.
func split(text string, into map[string]string) error {
	name := ""
	for line := range strings.Lines(text) {
		trimmed := strings.TrimSpace(line)
		if next, ok := strings.CutPrefix(trimmed, "-- name: "); ok {
			if _, taken := into[next]; taken {
				return fmt.Errorf("statement %s is there twice", next)
			}
			name = next
			into[name] = ""
			continue
		}
		if trimmed == "" || strings.HasPrefix(trimmed, "--") {
			continue
		}
		if name == "" {
			return errors.New("SQL before the first name")
		}
		into[name] += line
	}
	for name, statement := range into {
		into[name] = strings.TrimSuffix(strings.TrimSpace(statement), ";")
	}
	return nil
}
