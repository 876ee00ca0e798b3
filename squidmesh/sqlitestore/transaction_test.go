package sqlitestore_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/sqlitestore"
)

var errMine = errors.New("mine")

func newNotes(t *testing.T) *sqlitestore.Store {
	t.Helper()
	store := dbtest.SQLite(t, nil)
	_, err := store.DB().ExecContext(t.Context(), "create table note (text text primary key)")
	require.NoError(t, err)
	return store
}

func write(t *testing.T, tx *sql.Tx, text string) {
	t.Helper()
	_, err := tx.ExecContext(t.Context(), "insert into note values (?)", text)
	require.NoError(t, err)
}

func countNotes(t *testing.T, store *sqlitestore.Store, text string) (n int) {
	t.Helper()
	require.NoError(t, store.DB().QueryRowContext(t.Context(), "select count(*) from note where text = ?", text).Scan(&n))
	return n
}

// SQLite cannot lend a transaction without its end. What can be had is that it is noticed and that nothing follows it.
func TestNested_EndingTheTransactionIsNoticed(t *testing.T) {
	t.Parallel()

	execute := func(text string) func(*sql.Tx) error {
		return func(tx *sql.Tx) error {
			_, err := tx.ExecContext(t.Context(), text)
			return err
		}
	}
	for name, end := range map[string]func(*sql.Tx) error{
		"Commit": (*sql.Tx).Commit, "Rollback": (*sql.Tx).Rollback, "as SQL: commit": execute("commit"), "as SQL: rollback": execute("rollback"),
		"as SQL: commit and begin": execute("commit; begin immediate"),
	} {
		for _, result := range []error{nil, errMine} {
			store := newNotes(t)
			err := store.InTx(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
				nested := store.Nested(ctx, tx, func(_ context.Context, tx *sql.Tx) error {
					write(t, tx, "body")
					require.NoError(t, end(tx), name)
					return result
				})
				require.ErrorIs(t, nested, flow.ErrTransactionEnded, name)
				if result != nil {
					require.ErrorIs(t, nested, result)
				}
				return nested
			})
			require.ErrorIs(t, err, flow.ErrTransactionEnded, name)
			require.False(t, store.Traits().Transient(err))

			// The connection is fit for the next one.
			require.NoError(t, store.InTx(t.Context(), func(_ context.Context, tx *sql.Tx) error {
				write(t, tx, "next")
				return nil
			}), name)
			require.Equal(t, 1, countNotes(t, store, "next"), name)
		}
	}
}

func TestInTx_ATransactionThatItsBodyEndedIsAnError(t *testing.T) {
	t.Parallel()

	for _, end := range []func(*sql.Tx) error{(*sql.Tx).Rollback, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(t.Context(), "rollback")
		return err
	}} {
		store := newNotes(t)
		err := store.InTx(t.Context(), func(_ context.Context, tx *sql.Tx) error { return end(tx) })
		require.ErrorIs(t, err, flow.ErrTransactionEnded)
		require.NotErrorIs(t, err, flow.ErrCommitUnknown)
	}
}

// A statement that is interrupted takes its whole transaction with it, so what follows would be outside any.
func TestNested_AnInterruptedStatementIsUnusable(t *testing.T) {
	t.Parallel()

	store := newNotes(t)
	err := store.InTx(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
		write(t, tx, "before")
		return store.Nested(ctx, tx, func(ctx context.Context, tx *sql.Tx) error {
			ctx, cancel := context.WithTimeout(ctx, 20_000_000)
			defer cancel()
			_, err := tx.ExecContext(ctx, `insert into note
				with recursive n (i) as (select 1 union all select i + 1 from n) select i from n`)
			require.Error(t, err)
			return err
		})
	})
	require.Error(t, err)
	require.Equal(t, 0, countNotes(t, store, "before"))
	require.NoError(t, store.InTx(t.Context(), func(_ context.Context, tx *sql.Tx) error {
		write(t, tx, "next")
		return nil
	}))
	require.Equal(t, 1, countNotes(t, store, "next"))
}
