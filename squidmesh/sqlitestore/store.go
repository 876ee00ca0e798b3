// Package sqlitestore keeps runs in a SQLite file, for development, tests, demos and tools of one process. It takes the file for
// itself, so nobody has to wait for a lease after a crash.
//
// SQLite has one writer at a time. [Store.DB] is the only connection that writes; give it to River's SQLite driver and to package
// migrations too. A FuncTx step holds it for as long as it runs, so all other writers wait. Within such a step use nothing but its
// transaction.
package sqlitestore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/squidmesh/squidmesh-go/internal/echo"
	"github.com/squidmesh/squidmesh-go/internal/sqltext"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

const (
	// lease is generous, because the one connection may be busy, and harmless, because the next process takes over at
	// once.
	lease = time.Minute
	// txTimeout keeps FuncTx steps from starving everybody else.
	txTimeout = 2 * time.Second
	// readers is the number of connections for reading.
	readers = 4
	// MaxPath is what systems take, without the ends of the names of the files beside it.
	maxPath = 4000
)

// Options change how a Store works. The zero Options are the defaults.
type Options struct {
	// Clock turns the system's time into the time that the store goes by, for leases too. Nil leaves it as it is. Tests move time
	// with it. It must be safe for concurrent use.
	Clock func(system time.Time) time.Time
}

// Store is a driver.Store on a file. It is safe for concurrent use.
type Store struct {
	writer, reader *sql.DB
	lock           *fileLock
	clock          func(time.Time) time.Time
	statements     map[string]string
}

var _ driver.Store[*sql.Tx] = (*Store)(nil)

//go:embed sql
var files embed.FS

// Open opens the file, or makes it, and takes it for this process until Close or the end of the process, however that comes. If
// another store has the file, here or in another process, the error is a [*LockedError]. Options may be nil.
//
// The database is in WAL mode with synchronous=FULL, so what was committed survives a power failure. It must be a file on a local
// disk. A database in memory is refused, since each connection would see its own.
func Open(ctx context.Context, path string, options *Options) (*Store, error) {
	path, err := resolve(path)
	if err != nil {
		return nil, err
	}
	s := &Store{}
	if options != nil {
		s.clock = options.Clock
	}
	if s.statements, err = sqltext.Statements(files, ""); err != nil {
		return nil, err
	}
	if err := errors.Join(private(path), private(path+".lock")); err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	if s.lock, err = lockFile(ctx, path); err != nil {
		return nil, err
	}
	if err := s.open(ctx, path); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) open(ctx context.Context, path string) (err error) {
	pragmas := []string{"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(ON)"}
	if s.writer, err = connect(dsn(path, "immediate", pragmas)); err != nil {
		return err
	}
	s.writer.SetMaxOpenConns(1)
	if err := s.writer.PingContext(ctx); err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	if s.reader, err = connect(dsn(path, "deferred", []string{"busy_timeout(5000)", "query_only(ON)"})); err != nil {
		return err
	}
	s.reader.SetMaxOpenConns(readers)
	s.reader.SetMaxIdleConns(readers)
	return nil
}

// private makes a file that is not there one for its owner alone; the files that SQLite puts beside it get the same mode. It does not so
// much as open one that is there: closing that would drop the locks that another store of this process has on it.
func private(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// resolve makes one path of all the ways to write it, so that they share a lock.
func resolve(path string) (string, error) {
	switch {
	case len(path) > maxPath:
		return "", &flow.InputError{Field: "path", Code: "too_long", Detail: fmt.Sprintf("has %d bytes, at most %d are taken", len(path), maxPath)}
	case path == "", strings.Contains(path, ":memory:"), strings.HasPrefix(path, "file:"), strings.Contains(path, "\x00"):
		return "", &flow.InputError{Field: "path", Code: "not_a_file", Detail: echo.Quote(path) +
			": sqlitestore needs the path of a file; for a throw-away database take one in a temporary directory"}
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if target, err := filepath.EvalSymlinks(path); err == nil {
		return target, nil
	}
	directory, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return "", fmt.Errorf("open %s: %w", path, err)
	}
	return filepath.Join(directory, filepath.Base(path)), nil
}

// dsn is the data source name of a file, in modernc's form.
func dsn(path, begin string, pragmas []string) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // C:/...
	}
	u := url.URL{Scheme: "file", Path: path, RawQuery: url.Values{"_txlock": {begin}, "_pragma": pragmas}.Encode()}
	return u.String()
}

// DB returns the connection that writes, for River's SQLite driver and for migrations. Close closes it.
func (s *Store) DB() *sql.DB { return s.writer }

// Close closes all connections and releases the file. All transactions must have ended.
func (s *Store) Close() error {
	var problems []error
	for _, db := range []*sql.DB{s.reader, s.writer} {
		if db != nil {
			problems = append(problems, db.Close())
		}
	}
	return errors.Join(append(problems, s.lock.release())...)
}

// Traits implements driver.Store.
func (s *Store) Traits() driver.StoreTraits {
	return driver.StoreTraits{
		Dialect: "sqlite", Lease: lease, Exclusive: true, TxTimeout: txTimeout,
		Transient: transient, TxEnded: txEnded, NotMigrated: notMigrated,
		Unstorable: func(err error) bool { return isCode(err, sqlite3.SQLITE_TOOBIG) },
	}
}

// transient: the file was busy, which another program's writes can cause, or its disk was full.
func transient(err error) bool {
	return !errors.Is(err, flow.ErrCommitUnknown) &&
		(isCode(err, sqlite3.SQLITE_BUSY) || isCode(err, sqlite3.SQLITE_LOCKED) || isCode(err, sqlite3.SQLITE_FULL))
}

func txEnded(err error) bool { return errors.Is(err, sql.ErrTxDone) }

// missing is what SQLite says of a table or column that is not there; it has no code for them.
var missing = regexp.MustCompile(`no such (table|column): | has no column named `)

// notMigrated reports whether a statement of ours names a table or column that is not there.
func notMigrated(err error) bool {
	return isCode(err, sqlite3.SQLITE_ERROR) && missing.MatchString(err.Error())
}

// isCode compares the primary result code.
func isCode(err error, code int) bool {
	var said *sqlite.Error
	return errors.As(err, &said) && said.Code()&0xff == code
}

// Scope implements driver.Store. A file has one store, and its jobs are in the same file.
func (s *Store) Scope(context.Context, *sql.Tx) (string, error) { return "main", nil }

// Notify implements driver.Store. Where River's tables are missing it does nothing.
func (s *Store) Notify(ctx context.Context, channel, payload string) error {
	var tables int
	if err := s.reader.QueryRowContext(ctx, s.sql("HasNotifications")).Scan(&tables); err != nil || tables == 0 {
		return err
	}
	_, err := s.writer.ExecContext(ctx, s.sql("Notify"), channel, payload)
	return err
}

// sql is a statement by its name.
func (s *Store) sql(name string) string {
	text, ok := s.statements[name]
	if !ok {
		panic("sqlitestore: no statement " + name)
	}
	return text
}

// now is the store's time.
func (s *Store) now() time.Time {
	now := time.Now()
	if s.clock != nil {
		now = s.clock(now)
	}
	return now.UTC().Truncate(time.Microsecond)
}
