package pgstore

import (
	"context"
	"errors"
	"io"
	"net"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// transient reports whether the same transaction may succeed when it is run again from its beginning. A COMMIT of unknown outcome is
// never transient: it must be read back first.
func transient(err error) bool {
	var (
		said      *pgconn.PgError
		connect   *pgconn.ConnectError
		transport *net.OpError
	)
	switch {
	case err == nil, errors.Is(err, flow.ErrCommitUnknown), errors.Is(err, context.Canceled):
		return false
	case errors.As(err, &said):
		return transientCode(said.Code)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, errOpenRows), busy(err):
		return false
	}
	return errors.As(err, &connect) || errors.As(err, &transport) || pgconn.SafeToRetry(err) ||
		errors.Is(err, pgconn.ErrConnClosed) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

// busy recognises pgx's error for a statement between the rows of another, which it calls safe to retry: nothing was sent. It has no name.
func busy(err error) bool {
	var unsent interface {
		error
		SafeToRetry() bool
	}
	return errors.As(err, &unsent) && unsent.Error() == "conn busy"
}

func transientCode(code string) bool {
	switch code {
	case "40001", // serialization_failure
		"40P01", // deadlock_detected
		"55P03", // lock_not_available, at once or by lock_timeout
		"57014", // query_canceled, by statement_timeout
		"25P03", // idle_in_transaction_session_timeout: this process was frozen
		"57P01", // admin_shutdown
		"57P02", // crash_shutdown
		"57P03": // cannot_connect_now
		return true
	}
	switch class := code[:min(len(code), 2)]; class {
	case "08", // connection exceptions
		"53", // insufficient resources: connections, disk, memory
		"58": // system errors, such as failed reads and writes
		return true
	}
	return false
}

// timedOut reports whether the server ended a statement at one of its time limits.
func timedOut(err error) bool {
	var said *pgconn.PgError
	return errors.As(err, &said) && (said.Code == "55P03" || said.Code == "57014")
}

// unstorable reports whether the database refuses a value for good. A division by zero is how our own statements refuse what must not be
// committed.
func unstorable(err error) bool {
	var said *pgconn.PgError
	if !errors.As(err, &said) || said.Code == "22012" {
		return false
	}
	switch said.Code[:min(len(said.Code), 2)] {
	case "22", // data exceptions, such as characters that the database's encoding lacks
		"23", // integrity constraints
		"54": // limits
		return true
	}
	return false
}

// notMigrated reports whether a statement of ours names a table or column that is not there.
func notMigrated(err error) bool {
	var said *pgconn.PgError
	return errors.As(err, &said) && (said.Code == "42P01" || said.Code == "42703") // undefined_table, undefined_column
}

// txEnded reports whether a transaction takes no more statements, because it has ended, because one of its statements failed, or because it
// was to write and is read-only.
func txEnded(err error) bool {
	var said *pgconn.PgError
	if errors.As(err, &said) && (said.Code == "25P02" || said.Code == "25006") { // in_failed_sql_transaction, read_only_sql_transaction
		return true
	}
	return errors.Is(err, pgx.ErrTxClosed) || errors.Is(err, pgconn.ErrConnClosed)
}
