// Package invariants checks that a database holds only what squidmesh can have written. The rules are SQL, one named query each
// with its reason, in postgres.sql and sqlite.sql. Tests and the soak hold the runtime to them. An operator who mistrusts a
// database can check it too.
//
//	violations, err := invariants.CheckPostgres(ctx, pool, nil)
//
// A check only reads. It reads whole tables, so it takes its time on a large database.
package invariants

import (
	"cmp"
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/echo"
	"github.com/squidmesh/squidmesh-go/internal/sqltext"
	"github.com/squidmesh/squidmesh-go/squidmesh"
)

//go:embed postgres.sql
var postgresSQL string

//go:embed sqlite.sql
var sqliteSQL string

// Invariant is one rule.
type Invariant struct {
	Name string

	// Rule says what holds. Why says what for.
	Rule, Why string

	// Timed rules hold only while a process runs, and only after a grace.
	Timed bool

	// Optional rules hold only for databases that are run that way. They are checked only if [Options] ask for them.
	Optional bool

	// SQL selects what breaks the rule, in the columns run and what.
	SQL string
}

// Violation is a row that breaks a rule.
type Violation struct {
	Invariant string `json:"invariant"`
	Run       string `json:"run,omitempty"` // empty where it is not about one run
	What      string `json:"what"`
}

func (v Violation) String() string {
	return fmt.Sprintf("%s: run %s: %s", v.Invariant, cmp.Or(v.Run, "-"), v.What)
}

const (
	// DefaultGrace is how long a timed rule may be broken.
	DefaultGrace = time.Minute

	// DefaultLimit caps the violations of one rule.
	DefaultLimit = 100
)

// Options change a check. The zero Options are the defaults.
type Options struct {
	// Schema is the schema of the tables in PostgreSQL. Empty leaves it to the connection's search_path.
	Schema string

	// Grace is how long a timed rule may be broken, in whole seconds. Zero means [DefaultGrace]. Negative leaves the timed rules
	// out: do so if no process runs, or if queues are paused.
	Grace time.Duration

	// Limit caps the violations of one rule. Zero means [DefaultLimit].
	Limit int

	// Sealed asks for the rule values_are_sealed too: nothing stands in the clear that a codec seals. That should be so once
	// [squidmesh.Runtime.SealRuns] finds nothing more.
	Sealed bool

	// Only names the rules to check; optional ones may be among them. Empty means all rules that are not optional.
	Only []string
}

// Postgres lists the rules for PostgreSQL, as [CheckPostgres] runs them. If options are bad, the error is a [*squidmesh.InputError].
func Postgres(options *Options) ([]Invariant, error) { return parse(postgresSQL, options) }

// SQLite lists the rules for SQLite, as [CheckSQLite] runs them. If options are bad, the error is a [*squidmesh.InputError].
func SQLite(options *Options) ([]Invariant, error) { return parse(sqliteSQL, options) }

// limited is the statement that a check runs.
func (i Invariant) limited(options *Options) string {
	limit := DefaultLimit
	if options != nil && options.Limit > 0 {
		limit = options.Limit
	}
	return fmt.Sprintf("select coalesce(cast(run as text), ''), cast(what as text) from (\n%s\n) as violation limit %d", i.SQL, limit)
}

var grace = regexp.MustCompile(`/\* grace \*/ \d+`)

// parse splits a file at its `-- name:` lines and puts the options in.
func parse(file string, options *Options) ([]Invariant, error) {
	if options == nil {
		options = &Options{}
	}
	if err := sqltext.CheckSchema(options.Schema); err != nil {
		return nil, err
	}
	if options.Limit < 0 {
		return nil, &squidmesh.InputError{Field: "Limit", Code: "out_of_range", Detail: fmt.Sprintf("is %d, must not be negative", options.Limit)}
	}
	file = sqltext.WithSchema(file, options.Schema)
	file = grace.ReplaceAllString(file, fmt.Sprint(int64(cmp.Or(options.Grace, DefaultGrace).Seconds())))

	var all []Invariant
	unknown := slices.Clone(options.Only)
	for i, section := range strings.Split(file, "-- name: ") {
		if i == 0 {
			continue // the head of the file
		}
		invariant := parseOne(section)
		unknown = slices.DeleteFunc(unknown, func(name string) bool { return name == invariant.Name })
		switch {
		case slices.Contains(options.Only, invariant.Name):
		case invariant.Optional && options.Sealed:
		case invariant.Optional || len(options.Only) > 0:
			continue
		}
		if !invariant.Timed || options.Grace >= 0 {
			all = append(all, invariant)
		}
	}
	if len(unknown) > 0 {
		return nil, &squidmesh.InputError{Field: "Only", Code: "unknown_rule", Detail: fmt.Sprintf("there is no rule %s", echo.Quote(unknown[0]))}
	}
	return all, nil
}

// parseOne reads a section: the name, lines of comment with the rule and the reason, and the statement.
func parseOne(section string) Invariant {
	var invariant Invariant
	var comment, statement strings.Builder
	for i, line := range strings.Split(section, "\n") {
		text, isComment := strings.CutPrefix(line, "-- ")
		switch {
		case i == 0:
			invariant.Name = strings.TrimSpace(line)
		case isComment && text == "timed":
			invariant.Timed = true
		case isComment && text == "optional":
			invariant.Optional = true
		case isComment:
			comment.WriteString(text + " ")
		default:
			statement.WriteString(line + "\n")
		}
	}
	rule, why, _ := strings.Cut(comment.String(), "why: ")
	invariant.Rule, invariant.Why = strings.TrimSpace(rule), strings.TrimSpace(why)
	invariant.SQL = strings.TrimSuffix(strings.TrimSpace(statement.String()), ";")
	return invariant
}
