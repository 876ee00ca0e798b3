// Package bulk fills a PostgreSQL database with copies of runs, by the million, for benchmarks and for tests of plans. Copies are as real as
// the run that they are made of: every row that belongs to it is copied.
package bulk

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// DB is a connection or a pool whose search_path leads to the tables.
type DB interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Changes are SQL expressions for columns whose values differ between the copies, by "table.column". In them n is the number of the copy,
// from 1 on.
type Changes map[string]string

// tables have rows of runs, and how a row says of which.
var tables = []struct{ name, run string }{
	{"squidmesh_run", "id"},
	{"squidmesh_step", "run_id"},
	{"squidmesh_hold", "run_id"},
	{"squidmesh_attempt", "run_id"},
	{"squidmesh_event", "run_id"},
}

// Copy copies a run n times. Its River jobs, if it has any, are not copied; see [CopyJob].
func Copy(ctx context.Context, db DB, run squidmesh.RunID, n int, changes Changes) error {
	for _, table := range tables {
		values := Changes{table.name + "." + table.run: copyOf(run)}
		for column, expression := range changes {
			values[column] = expression
		}
		if err := insert(ctx, db, table.name, fmt.Sprintf("%s = '%s'", table.run, run), n, values); err != nil {
			return fmt.Errorf("copy run %s: %w", run, err)
		}
	}
	return nil
}

// CopyJob copies the job of the only step of a run that has one, for each of the n copies that were made of the run, and gives it to the
// copy's step. It comes before [Copy]: the changes that it returns are to be made by that.
func CopyJob(ctx context.Context, db DB, run squidmesh.RunID, n int, changes Changes) (Changes, error) {
	var job, last string
	err := db.QueryRow(ctx, "select job_id from squidmesh_step where run_id = $1 and job_id is not null", run.String()).Scan(&job)
	if err == nil {
		err = db.QueryRow(ctx, "select setval(pg_get_serial_sequence('river_job', 'id'), nextval(pg_get_serial_sequence('river_job', 'id')) + $1) - $1", n).Scan(&last)
	}
	if err != nil {
		return nil, fmt.Errorf("copy the job of run %s: %w", run, err)
	}
	values := Changes{
		"river_job.id":   last + " + n",
		"river_job.args": fmt.Sprintf("jsonb_set(args, '{run_id}', to_jsonb((%s)::text))", copyOf(run)),
	}
	own := Changes{"squidmesh_step.job_id": "(" + last + " + n)::text"}
	for column, expression := range changes {
		values[column], own[column] = expression, expression
	}
	if err := insert(ctx, db, "river_job", "id = "+job, n, values); err != nil {
		return nil, fmt.Errorf("copy the job of run %s: %w", run, err)
	}
	return own, nil
}

// copyOf is the id of a copy of a run: in the order of n, as ids are in the order of time.
func copyOf(run squidmesh.RunID) string {
	const node = 12 // the last digits of an id
	text := run.String()
	return fmt.Sprintf("('%s' || lpad(to_hex(n), %d, '0'))::uuid", text[:len(text)-node], node)
}

// insert copies the rows of a table that a condition selects.
func insert(ctx context.Context, db DB, table, condition string, n int, values Changes) error {
	rows, err := db.Query(ctx, `select attname::text from pg_attribute
		where attrelid = $1::text::regclass and attnum > 0 and not attisdropped and attgenerated = '' order by attnum`, table)
	if err != nil {
		return err
	}
	columns, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	expressions := make([]string, len(columns))
	for i, column := range columns {
		expressions[i] = column
		if value, ok := values[table+"."+column]; ok {
			expressions[i] = value
		}
	}
	_, err = db.Exec(ctx, fmt.Sprintf("insert into %[1]s (%[2]s) select %[3]s from %[1]s, generate_series(1, %[4]d) as n where %[5]s",
		table, strings.Join(columns, ", "), strings.Join(expressions, ", "), n, condition))
	return err
}
