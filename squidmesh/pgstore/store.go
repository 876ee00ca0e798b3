// Package pgstore keeps runs in PostgreSQL 14 or newer, through pgx.
//
// Package migrations makes the tables. The store only locks rows of runs, in the order of their ids, and reads and writes
// everything else under those locks. So if you pass a transaction of your own to a ...Tx call of the runtime, lock your rows first
// and make the call last.
//
// A start may also hold the row of its definition. If the definition is new to the database, others cannot save it meanwhile. If
// nobody has used it for an hour, the start holds a share of its row. That keeps a prune away, which skips it, and nobody else.
package pgstore

import (
	"cmp"
	"context"
	"embed"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/squidmesh/squidmesh-go/internal/sqltext"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
)

// DefaultLease is how long a process may be silent before others take over its work.
const DefaultLease = 4 * time.Second

const minLease = 2 * time.Second

// Options change how a Store works. The zero Options are the defaults.
type Options struct {
	// Schema is the schema of the tables. Empty leaves it to the search_path of the pool's connections. It has 1 to 46 lower-case
	// letters, digits and underscores, and is not one of PostgreSQL's own.
	Schema string

	// Lease is how long a worker may be silent before it is declared lost. It is at least two seconds, and at least three times the
	// runtime's heartbeat. Zero means [DefaultLease]. A transaction of the runtime's own that is silent for half a lease, as that
	// of a frozen process is, is ended by the server. So its locks are gone when others take over.
	Lease time.Duration

	// Clock turns the database's time into the time that the store goes by, for leases too. Nil leaves it as it is. Tests move time
	// with it. It must be safe for concurrent use.
	Clock func(database time.Time) time.Time
}

// Store is a driver.Store on a pool of connections. It is safe for concurrent use. It holds nothing that needs closing; the pool
// stays the caller's.
type Store struct {
	pool       *pgxpool.Pool
	schema     string // as configured
	lease      time.Duration
	clock      func(time.Time) time.Time
	statements map[string]string
	limit      string // the setting that limits how long a transaction of ours may be silent
	settings   string // all settings of a pipelined one
	beside     beside
}

// The runtime asks for all but the first by type assertions, which no compiler checks.
var (
	_ driver.Store[pgx.Tx]              = (*Store)(nil)
	_ driver.Pipeliner[pgx.Tx]          = (*Store)(nil)
	_ driver.ConnectionReserver[pgx.Tx] = (*Store)(nil)
	_ driver.Drainer                    = (*Store)(nil)
	_ driver.Warner                     = (*Store)(nil)
)

//go:embed sql
var files embed.FS

// New returns a store on pool. It panics if pool is nil, or if the options have an impossible schema or lease. It does not touch
// the database. Options may be nil.
func New(pool *pgxpool.Pool, options *Options) *Store {
	s := &Store{pool: pool, lease: DefaultLease}
	schema := ""
	if options != nil {
		schema, s.clock = options.Schema, options.Clock
		s.lease = cmp.Or(options.Lease, DefaultLease)
	}
	switch {
	case pool == nil:
		panic("pgstore: pool is nil")
	case s.lease < minLease:
		panic(fmt.Sprintf("pgstore: Lease: is %s, must be at least %s", s.lease, minLease))
	}
	statements, err := sqltext.Statements(files, schema)
	if err != nil {
		panic(fmt.Sprintf("pgstore: %v", err))
	}
	s.statements, s.schema = statements, schema
	s.limit = fmt.Sprintf("set local idle_in_transaction_session_timeout = %d", (s.lease / 2).Milliseconds())
	s.settings = settingsOf(s.lease / 2)
	return s
}

// Pool returns the pool that the store was made with.
func (s *Store) Pool() *pgxpool.Pool { return s.pool }

// Warnings implements driver.Warner.
func (s *Store) Warnings(ctx context.Context) []string {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil // whatever is wrong, the next statement meets it
	}
	defer conn.Release()
	if encoding := conn.Conn().PgConn().ParameterStatus("server_encoding"); encoding != "UTF8" && encoding != "" {
		return []string{"the database's encoding is " + encoding + ", which lacks characters: results, payloads and texts that have them are refused; use UTF8"}
	}
	return nil
}

// Traits implements driver.Store.
func (s *Store) Traits() driver.StoreTraits {
	return driver.StoreTraits{
		Dialect: "postgres", Lease: s.lease, SideBySide: sideBySide(s.pool.Config().MaxConns),
		Transient: transient, TimedOut: timedOut, Unstorable: unstorable, TxEnded: txEnded, NotMigrated: notMigrated,
	}
}

// sideBySide is how many commits may be in flight at once. Two callers at a time would else wait for each other's commit at each step; up to
// four do as much as with a plain commit each, and ten do more if they share (make levers). They have no more than a quarter of the
// pool: the rest is for others, and for executors that take a connection while they hold one.
func sideBySide(conns int32) int { return min(4, max(1, int(conns)/4)) }

// Notify implements driver.Store. Never within a transaction: a commit that notifies waits for all others that do.
func (s *Store) Notify(ctx context.Context, channel, payload string) error {
	_, err := s.pool.Exec(ctx, "select pg_notify($1, $2)", channel, payload)
	return err
}

// sql is a statement by its name.
func (s *Store) sql(name string) string {
	text, ok := s.statements[name]
	if !ok {
		panic("pgstore: no statement " + name)
	}
	return text
}

// now is the store's time at a time of the database.
func (s *Store) now(database time.Time) time.Time {
	if s.clock != nil {
		database = s.clock(database)
	}
	return database.UTC().Truncate(time.Microsecond)
}
