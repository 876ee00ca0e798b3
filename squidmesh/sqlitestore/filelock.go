package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"

	sqlite3 "modernc.org/sqlite/lib"
)

// ErrLocked is the error that a [*LockedError] wraps.
var ErrLocked = errors.New("database is in use by another process")

// LockedError says that another store has the file.
type LockedError struct {
	Path   string
	Holder string // such as "process 4711 on build-3 since 2026-11-23T05:00:00Z"; empty if it cannot be known
}

func (e *LockedError) Error() string {
	holder := e.Holder
	if holder == "" {
		holder = "an unknown process"
	}
	return fmt.Sprintf("open %s: %v: %s", e.Path, ErrLocked, holder)
}

func (e *LockedError) Unwrap() error { return ErrLocked }

// fileLock is a write transaction that stays open on a second SQLite file, beside the database: portable, readable for others, and
// gone with the process, however it ends. The database itself cannot be held that way, since its readers need it.
type fileLock struct {
	db   *sql.DB
	conn *sql.Conn
}

func lockFile(ctx context.Context, path string) (*fileLock, error) {
	db, err := sql.Open("sqlite", dsn(path+".lock", "deferred", []string{"busy_timeout(100)"}))
	if err != nil {
		return nil, err
	}
	l := &fileLock{db: db}
	if l.conn, err = db.Conn(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s.lock: %w", path, err), l.release())
	}
	if err := l.take(ctx); err != nil {
		if isCode(err, sqlite3.SQLITE_BUSY) {
			err = &LockedError{Path: path, Holder: l.holder(ctx)}
		} else {
			err = fmt.Errorf("lock %s.lock: %w", path, err)
		}
		return nil, errors.Join(err, l.release())
	}
	return l, nil
}

// take writes down who holds the lock and then keeps it. Whoever comes in between the two finds itself outdone or outdoes us.
func (l *fileLock) take(ctx context.Context) error {
	host, _ := os.Hostname()
	holder := fmt.Sprintf("process %d on %s since %s", os.Getpid(), host, time.Now().UTC().Format(time.RFC3339))
	for _, statement := range []string{
		"begin immediate",
		"create table if not exists holder (name text not null)",
		"delete from holder",
		"insert into holder (name) values (?)",
		"commit",
		"begin immediate",
	} {
		var args []any
		if statement == "insert into holder (name) values (?)" {
			args = []any{holder}
		}
		if _, err := l.conn.ExecContext(ctx, statement, args...); err != nil {
			return err
		}
	}
	return nil
}

// holder reads who has the lock.
func (l *fileLock) holder(ctx context.Context) string {
	var name string
	_ = l.conn.QueryRowContext(ctx, "select name from holder").Scan(&name)
	return name
}

func (l *fileLock) release() error {
	var problems []error
	if l.conn != nil {
		_, _ = l.conn.ExecContext(context.Background(), "rollback") // of an open one, if there is one
		problems = append(problems, l.conn.Close())
	}
	return errors.Join(append(problems, l.db.Close())...)
}
