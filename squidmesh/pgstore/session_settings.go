package pgstore

import (
	"github.com/jackc/pgx/v5"
)

// kept are the settings that a body may not change for what the runtime writes after it, nor for who gets the connection next: what is
// found, who writes, how long that may take, how values are read, and what is promised of it. The first two come first, since the others
// may need the rights that they give. PostgreSQL restores no setting when a savepoint is released.
var kept = []string{
	"session_authorization", "role",
	"search_path", "row_security", "session_replication_role",
	"statement_timeout", "lock_timeout", "transaction_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout",
	"client_encoding", "standard_conforming_strings", "DateStyle", "IntervalStyle", "TimeZone", "bytea_output", "extra_float_digits",
	"synchronous_commit",
	"default_transaction_isolation", "default_transaction_read_only", "default_transaction_deferrable",
	"enable_indexscan", "enable_bitmapscan", "enable_nestloop",
}

// What reads and restores them is found whatever search_path says. It is set for the session, whose value a body may have changed: nobody
// but the body sets one of them before it, except the time that a transaction may be silent, which is set anew behind it. One that the
// server does not have is left out.
const (
	readSettings = `
		select pg_catalog.array_agg(name order by n), pg_catalog.array_agg(value order by n)
		from (
			select name, n, pg_catalog.current_setting(name, true) as value
			from pg_catalog.unnest($1::pg_catalog.text[]) with ordinality as wanted (name, n)
		) as setting
		where value is not null`

	restoreSettings = `
		select pg_catalog.set_config(name, value, false)
		from rows from (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.text[])) as was (name, value)
		where pg_catalog.current_setting(name) operator(pg_catalog.<>) value`
)

// settings are names and values of those that are kept.
type settings struct{ names, values []string }

// read reads them with a batch.
func (s *settings) read(b *pgx.Batch) {
	b.Queue(readSettings, kept).QueryRow(func(row pgx.Row) error { return row.Scan(&s.names, &s.values) })
}

// restore restores with a batch those that have changed.
func (s *settings) restore(b *pgx.Batch) { b.Queue(restoreSettings, s.names, s.values) }
