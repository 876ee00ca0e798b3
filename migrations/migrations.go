// Package migrations makes and changes the tables of squidmesh, in PostgreSQL and in SQLite.
//
// Migrations are numbered SQL files, embedded, each with a way up and a way down. The table squidmesh_migration lists those that
// were applied. Each file writes itself into it, so any other tool can run the text that [Migrator.SQL] returns.
//
//	if _, err := migrations.Postgres(pool, nil).Migrate(ctx, migrations.Up, nil); err != nil { ... }
//
// [UpAllPostgres] and [UpAllSQLite] bring River's own tables up too.
package migrations

import (
	"cmp"
	"embed"
	"fmt"
	"io/fs"
	"log/slog"
	"regexp"
	"slices"
	"strconv"

	"github.com/squidmesh/squidmesh-go/internal/sqltext"
)

//go:embed postgres sqlite
var files embed.FS

// Direction is the way that a migration goes.
type Direction string

// The two directions.
const (
	Up   Direction = "up"
	Down Direction = "down"
)

// Options say where the tables are. The zero Options are the defaults.
type Options struct {
	// Schema is the schema of the tables in PostgreSQL; it must exist. Empty means the first one on the connection's search_path.
	// It has 1 to 46 lower-case letters, digits and underscores, and is not one of PostgreSQL's own. SQLite has no schema.
	Schema string

	// Logger is told of every migration that is applied. Nil is silent.
	Logger *slog.Logger
}

// Version is one migration.
type Version struct {
	Version int
	Name    string

	up, down string
}

var fileName = regexp.MustCompile(`^(\d{3})_(\w+)\.(up|down)\.sql$`)

// load reads the migrations of a dialect in their order, and checks that none is missing.
func load(dialect string) ([]Version, error) {
	entries, err := fs.ReadDir(files, dialect)
	if err != nil {
		return nil, err
	}
	byNumber := map[int]*Version{}
	for _, entry := range entries {
		parts := fileName.FindStringSubmatch(entry.Name())
		if parts == nil {
			return nil, fmt.Errorf("migration %s/%s: not named NNN_name.up.sql or NNN_name.down.sql", dialect, entry.Name())
		}
		text, err := fs.ReadFile(files, dialect+"/"+entry.Name())
		if err != nil {
			return nil, err
		}
		number, _ := strconv.Atoi(parts[1])
		if byNumber[number] == nil {
			byNumber[number] = &Version{Version: number, Name: parts[2]}
		}
		if parts[3] == "up" {
			byNumber[number].up = string(text)
		} else {
			byNumber[number].down = string(text)
		}
	}
	versions := make([]Version, 0, len(byNumber))
	for _, v := range byNumber {
		versions = append(versions, *v)
	}
	slices.SortFunc(versions, func(a, b Version) int { return cmp.Compare(a.Version, b.Version) })
	for i, v := range versions {
		if v.Version != i+1 || v.up == "" || v.down == "" {
			return nil, fmt.Errorf("%s migrations: %03d_%s lacks a direction or a predecessor", dialect, v.Version, v.Name)
		}
	}
	return versions, nil
}

// sql is the text of one direction with the schema in place.
func (v Version) sql(direction Direction, schema string) string {
	text := v.up
	if direction == Down {
		text = v.down
	}
	return sqltext.WithSchema(text, schema)
}
