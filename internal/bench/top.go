package main

import (
	"context"
	"strings"
)

// printTop prints the statements that cost the server most since the window of a cell began.
func (l *lab) printTop(ctx context.Context, name string) error {
	if l.top == 0 || !l.statements {
		return nil
	}
	rows, err := l.watch.Query(ctx, `select calls, total_exec_time, total_exec_time / calls, rows::float8 / calls, query
		from pg_stat_statements s join pg_database d on d.oid = s.dbid and d.datname = current_database()
		order by total_exec_time desc limit $1`, l.top)
	if err != nil {
		return err
	}
	defer rows.Close()
	l.report.say("%s: calls, total ms, ms each, rows each, statement", name)
	for rows.Next() {
		var calls int64
		var total, each, count float64
		var query string
		if err := rows.Scan(&calls, &total, &each, &count, &query); err != nil {
			return err
		}
		query = strings.Join(strings.Fields(query), " ")
		l.report.say("  %8d %9.1f %8.3f %7.1f  %s", calls, total, each, count, query[:min(len(query), 120)])
	}
	return rows.Err()
}

// resetTop begins the window of printTop.
func (l *lab) resetTop(ctx context.Context) {
	if l.top > 0 && l.statements {
		_, _ = l.watch.Exec(ctx, "select pg_stat_statements_reset()")
	}
}
