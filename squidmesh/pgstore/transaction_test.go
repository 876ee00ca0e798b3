package pgstore_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

var errMine = errors.New("mine")

// notes is a store beside a table of the user's own.
type notes struct {
	*testing.T
	pool  *pgxpool.Pool
	store *pgstore.Store
}

func newNotes(t *testing.T) *notes {
	t.Helper()
	pool := dbtest.Postgres(t)
	_, err := pool.Exec(t.Context(), "create table note (text text primary key)")
	require.NoError(t, err)
	return &notes{t, pool, pgstore.New(pool, nil)}
}

func (n *notes) write(ctx context.Context, tx pgx.Tx, text string) {
	n.Helper()
	_, err := tx.Exec(ctx, "insert into note values ($1)", text)
	require.NoError(n, err)
}

func (n *notes) require(want ...string) {
	n.Helper()
	rows, err := n.pool.Query(n.Context(), "select text from note order by text")
	require.NoError(n, err)
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(n, err)
	require.ElementsMatch(n, want, got)
}

// nested runs body in a savepoint between two notes, and returns its error.
func (n *notes) nested(body func(ctx context.Context, tx pgx.Tx) error) (nested, outer error) {
	outer = n.store.InTx(n.Context(), func(ctx context.Context, tx pgx.Tx) error {
		n.write(ctx, tx, "before")
		if nested = n.store.Nested(ctx, tx, body); errors.Is(nested, flow.ErrTxUnusable) || errors.Is(nested, flow.ErrTransactionEnded) {
			return nested
		}
		n.write(ctx, tx, "after")
		return nil
	})
	return nested, outer
}

// end ends a handle in one of its two ways.
var end = map[string]func(context.Context, pgx.Tx) error{
	"commit":   func(ctx context.Context, tx pgx.Tx) error { return tx.Commit(ctx) },
	"rollback": func(ctx context.Context, tx pgx.Tx) error { return tx.Rollback(ctx) },
}

func TestNested_TheEndOfTheHandlePublishesNothing(t *testing.T) {
	t.Parallel()

	for name, end := range end {
		n := newNotes(t)
		nested, outer := n.nested(func(ctx context.Context, tx pgx.Tx) error {
			n.write(ctx, tx, "body")
			sub, err := tx.Begin(ctx)
			require.NoError(t, err)
			require.NoError(t, end(ctx, tx), name)
			n.require()
			for _, tx := range []pgx.Tx{tx, sub} {
				require.ErrorIs(t, tx.Commit(ctx), pgx.ErrTxClosed)
				require.ErrorIs(t, tx.Rollback(ctx), pgx.ErrTxClosed, "the deferred Rollback of pgx's idiom")
				_, err = tx.Exec(ctx, "select 1")
				require.ErrorIs(t, err, pgx.ErrTxClosed)
				_, err = tx.Query(ctx, "select 1")
				require.ErrorIs(t, err, pgx.ErrTxClosed)
				require.ErrorIs(t, tx.QueryRow(ctx, "select 1").Scan(), pgx.ErrTxClosed)
				_, err = tx.CopyFrom(ctx, pgx.Identifier{"note"}, []string{"text"}, pgx.CopyFromRows(nil))
				require.ErrorIs(t, err, pgx.ErrTxClosed)
				_, err = tx.Prepare(ctx, "", "select 1")
				require.ErrorIs(t, err, pgx.ErrTxClosed)
				_, err = tx.Begin(ctx)
				require.ErrorIs(t, err, pgx.ErrTxClosed)
				batch := &pgx.Batch{}
				batch.Queue("select 1")
				require.ErrorIs(t, tx.SendBatch(ctx, batch).Close(), pgx.ErrTxClosed)
			}
			return nil
		})
		require.Equal(t, flow.ErrTransactionEnded, nested, "there is nothing left to commit")
		require.Error(t, outer)
		n.require()
	}
}

func TestNested_AfterTheEndOfTheHandle(t *testing.T) {
	t.Parallel()

	for _, end := range end {
		for want, result := range map[error]error{flow.ErrTransactionEnded: nil, errMine: errMine} {
			n := newNotes(t)
			err := n.store.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
				n.write(ctx, tx, "before")
				nested := n.store.Nested(ctx, tx, func(ctx context.Context, tx pgx.Tx) error {
					n.write(ctx, tx, "body")
					require.NoError(t, end(ctx, tx))
					return result
				})
				require.Equal(t, want, nested)
				n.write(ctx, tx, "after") // the transaction is as good as before
				return nil
			})
			require.NoError(t, err)
			n.require("before", "after")
		}
	}
}

func TestNested_EndingTheTransactionAsSQLIsNoticed(t *testing.T) {
	t.Parallel()

	for _, sql := range []string{"commit", "rollback", "commit; begin", "rollback; begin"} {
		for _, result := range []error{nil, errMine} {
			n := newNotes(t)
			nested, outer := n.nested(func(ctx context.Context, tx pgx.Tx) error {
				_, err := tx.Exec(ctx, sql)
				require.NoError(t, err)
				return result
			})
			require.Error(t, outer, sql)
			if result != nil {
				require.ErrorIs(t, nested, result)
			} else {
				require.ErrorIs(t, nested, flow.ErrTransactionEnded, sql)
			}
			require.ErrorIs(t, nested, flow.ErrTxUnusable, "nothing may follow outside a transaction")
			var left int
			require.NoError(t, n.pool.QueryRow(t.Context(), "select count(*) from note where text = 'after'").Scan(&left))
			require.Zero(t, left)
		}
	}
}

func TestNested_AFailedStatementThatTheBodyIgnores(t *testing.T) {
	t.Parallel()

	n := newNotes(t)
	nested, outer := n.nested(func(ctx context.Context, tx pgx.Tx) error {
		n.write(ctx, tx, "body")
		_, err := tx.Exec(ctx, "select 1/0")
		require.Error(t, err)
		return nil
	})
	require.Error(t, nested, "the body's writes are gone, so it has not succeeded")
	require.NotErrorIs(t, nested, flow.ErrTxUnusable)
	require.NoError(t, outer)
	n.require("before", "after")
}

func TestNested_ABrokenConnectionIsUnusable(t *testing.T) {
	t.Parallel()

	n := newNotes(t)
	nested, outer := n.nested(func(ctx context.Context, tx pgx.Tx) error {
		ctx, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		defer cancel()
		_, err := tx.Exec(ctx, "select pg_sleep(60)") // pgx closes a connection whose context ends in mid-query
		return err
	})
	require.ErrorIs(t, nested, flow.ErrTxUnusable)
	require.ErrorIs(t, nested, context.DeadlineExceeded)
	require.Equal(t, nested, outer)
	n.require()
}

func TestNested_KeepsPgxsOwnSavepointsApart(t *testing.T) {
	t.Parallel()

	n := newNotes(t)
	nested, outer := n.nested(func(ctx context.Context, tx pgx.Tx) error {
		require.ErrorIs(t, pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error {
			n.write(ctx, tx, "lost")
			return errMine
		}), errMine)
		return pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error {
			n.write(ctx, tx, "body")
			return nil
		})
	})
	require.NoError(t, nested)
	require.NoError(t, outer)
	n.require("before", "body", "after")
}

// atCommit makes each COMMIT that wrote a note execute a statement.
func (n *notes) atCommit(statement string) {
	n.Helper()
	_, err := n.pool.Exec(n.Context(), `
		create function at_commit() returns trigger language plpgsql as $$ begin `+statement+`; return null; end $$;
		create constraint trigger at_commit after insert on note initially deferred for each row execute function at_commit();`)
	require.NoError(n, err)
}

func TestInTx_ARefusedCommitIsKnown(t *testing.T) {
	t.Parallel()

	n := newNotes(t)
	n.atCommit("raise exception 'no' using errcode = '40001'")
	err := n.store.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		n.write(ctx, tx, "body")
		return nil
	})
	require.NotErrorIs(t, err, flow.ErrCommitUnknown)
	var said *pgconn.PgError
	require.ErrorAs(t, err, &said)
	require.True(t, n.store.Traits().Transient(err), "a serialization failure at the end is one")
	n.require()
}

func TestInTx_ABrokenCommitIsUnknown(t *testing.T) {
	t.Parallel()

	n := newNotes(t)
	n.atCommit("perform pg_terminate_backend(pg_backend_pid())")
	err := n.store.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		n.write(ctx, tx, "body")
		return nil
	})
	require.ErrorIs(t, err, flow.ErrCommitUnknown)
	require.False(t, n.store.Traits().Transient(err), "it must be read back before anything is repeated")
}

// The caller's impatience does not cut a COMMIT off: only a COMMIT that was answered leaves nobody in doubt.
func TestInTx_ACommitOutlivesItsContext(t *testing.T) {
	t.Parallel()

	n := newNotes(t)
	n.atCommit("perform pg_sleep(2)")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := n.store.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		n.write(ctx, tx, "body")
		time.AfterFunc(time.Second, cancel)
		return nil
	})
	require.NoError(t, err)
	n.require("body")
}

func TestInTx_AFailedStatementThatTheBodyIgnoresDoesNotCommit(t *testing.T) {
	t.Parallel()

	n := newNotes(t)
	err := n.store.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		n.write(ctx, tx, "body")
		_, _ = tx.Exec(ctx, "select 1/0")
		return nil
	})
	require.ErrorIs(t, err, pgx.ErrTxCommitRollback)
	require.NotErrorIs(t, err, flow.ErrCommitUnknown)
	n.require()
}

func TestTransient_WhatMayBeRunAgain(t *testing.T) {
	t.Parallel()

	n := newNotes(t)
	transient := n.store.Traits().Transient

	killed := n.store.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "select pg_terminate_backend(pg_backend_pid())")
		return err
	})
	require.True(t, transient(killed), "%v", killed)

	config := n.pool.Config()
	config.ConnConfig.Port = 1
	config.ConnConfig.Fallbacks = nil
	nowhere, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	defer nowhere.Close()
	unreachable := pgstore.New(nowhere, nil).InTx(t.Context(), func(context.Context, pgx.Tx) error { return nil })
	require.True(t, transient(unreachable), "%v", unreachable)

	locked := n.store.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "lock table note")
		require.NoError(t, err)
		return n.store.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "lock table note nowait")
			return err
		})
	})
	require.True(t, transient(locked), "%v", locked)

	for code, again := range map[string]bool{
		"40001": true, "40P01": true, "55P03": true, "53100": true, "53300": true, "57P01": true, "57P03": true, "58030": true,
		"22012": false, "23505": false, "25006": false, "42P01": false, "57014": true,
	} {
		err := n.store.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "do $$ begin raise exception 'made up' using errcode = '"+code+"'; end $$")
			return err
		})
		require.Equal(t, again, transient(err), "%v", err)
	}

	slow, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, late := n.pool.Exec(slow, "select pg_sleep(60)")
	require.False(t, transient(late), "%v", late)
}
