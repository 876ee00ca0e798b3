package riveradapter

import (
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
)

// ErrNoTables means that River's tables are not where an [Executor]'s client looks for them, or are older than the client. Start of
// the runtime fails with it, and so do calls that enqueue.
var ErrNoTables = errors.New("riveradapter: River's tables are missing or too old")

// notThere are the SQLSTATEs of a schema, table, column or type that is not there.
var notThere = []string{"3F000", "42P01", "42703", "42704"}

// notInSQLite is what SQLite says of them; it has no codes for it.
var notInSQLite = regexp.MustCompile(`no such (table|column): |has no column named `)

// namesTables says of an error of River's own statements that its tables are not there, and what to do. Other errors stay as they are.
func namesTables[TTx any](client *river.Client[TTx], err error) error {
	up, where := "migrations.UpAllPostgres", "where search_path leads"
	var said interface{ SQLState() string }
	switch sqlite := client.Driver().DatabaseName() == riverdriver.DatabaseNameSQLite; {
	case sqlite && notInSQLite.MatchString(err.Error()):
		up, where = "migrations.UpAllSQLite", "in the file"
	case !sqlite && errors.As(err, &said) && slices.Contains(notThere, said.SQLState()):
	default:
		return err
	}
	if client.Schema() != "" {
		where = "in schema " + client.Schema()
	}
	return fmt.Errorf("%w %s: run %s, which runs River's migrations too, or set river.Config.Schema of every client to the schema that they are in: %w",
		ErrNoTables, where, up, err)
}
