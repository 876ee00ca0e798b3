package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// talkers are bodies that go on talking over their transaction until that answers no more, whatever their context says.
var talkers = map[string]func(tx pgx.Tx, began func()){
	"exec": func(tx pgx.Tx, began func()) {
		for err := error(nil); err == nil; began() {
			_, err = tx.Exec(context.Background(), "insert into note values (gen_random_uuid()::text)")
		}
	},
	"query row": func(tx pgx.Tx, began func()) {
		for err := error(nil); err == nil; began() {
			var n int
			err = tx.QueryRow(context.Background(), "select 1").Scan(&n)
		}
	},
	"query": func(tx pgx.Tx, began func()) {
		for err := error(nil); err == nil; began() {
			rows, _ := tx.Query(context.Background(), "select generate_series(1, 10)")
			_, err = pgx.CollectRows(rows, pgx.RowTo[int])
		}
	},
	"long query": func(tx pgx.Tx, began func()) {
		rows, _ := tx.Query(context.Background(), "select generate_series(1, 1000000000)")
		defer rows.Close()
		for rows.Next() {
			began()
		}
	},
	"slow statement": func(tx pgx.Tx, began func()) {
		began()
		_, _ = tx.Exec(context.Background(), "insert into note values ('slow'); select pg_sleep(600)")
	},
	"batch": func(tx pgx.Tx, began func()) {
		for err := error(nil); err == nil; began() {
			batch := &pgx.Batch{}
			batch.Queue("select 1")
			batch.Queue("select 2")
			err = tx.SendBatch(context.Background(), batch).Close()
		}
	},
	"results of a batch": func(tx pgx.Tx, began func()) {
		for err := error(nil); err == nil; began() {
			batch := &pgx.Batch{}
			batch.Queue("select 1")
			batch.Queue("select generate_series(1, 10)")
			batch.Queue("select 3")
			results := tx.SendBatch(context.Background(), batch)
			var n int
			err = results.QueryRow().Scan(&n)
			rows, failed := results.Query()
			if failed == nil {
				_, failed = pgx.CollectRows(rows, pgx.RowTo[int])
			}
			_, last := results.Exec()
			err = errors.Join(err, failed, last, results.Close())
		}
	},
	"savepoints": func(tx pgx.Tx, began func()) {
		for err := error(nil); err == nil; began() {
			err = pgx.BeginFunc(context.Background(), tx, func(tx pgx.Tx) error {
				_, err := tx.Exec(context.Background(), "select 1")
				return err
			})
		}
	},
	"copy": func(tx pgx.Tx, began func()) {
		for n, err := 0, error(nil); err == nil; began() {
			n++
			_, err = tx.CopyFrom(context.Background(), pgx.Identifier{"note"}, []string{"text"}, pgx.CopyFromRows([][]any{{fmt.Sprint(n)}}))
		}
	},
	"prepare": func(tx pgx.Tx, began func()) {
		for err := error(nil); err == nil; began() {
			_, err = tx.Prepare(context.Background(), "", "select 1")
		}
	},
	"the connection itself": func(tx pgx.Tx, began func()) {
		conn := tx.Conn()
		for err := error(nil); err == nil; began() {
			_, err = conn.Exec(context.Background(), "insert into note values (gen_random_uuid()::text)")
		}
	},
}

// A body that is abandoned, or that leaves a goroutine at work on its transaction, finds the connection dead. Nobody else uses it then, what
// was written is gone with its locks, and the pool has room again.
func TestNested_NobodyTalksOverAConnectionThatIsInUse(t *testing.T) {
	t.Parallel()

	for name, talk := range talkers {
		for _, result := range []error{nil, fmt.Errorf("%w: %w", driver.ErrAbandoned, errMine)} {
			if result == nil && name == "the connection itself" {
				continue // which nobody sees once the body has returned
			}
			t.Run(fmt.Sprintf("%s, %v", name, result), func(t *testing.T) {
				t.Parallel()

				n := newNotes(t)
				over := make(chan struct{})
				err := n.store.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
					n.write(ctx, tx, "before")
					return n.store.Nested(ctx, tx, func(_ context.Context, tx pgx.Tx) error {
						began := make(chan struct{}, 1)
						go func() {
							defer close(over)
							talk(tx, func() {
								select {
								case began <- struct{}{}:
								default:
								}
							})
						}()
						<-began
						return result
					})
				})
				if result != nil {
					require.ErrorIs(t, err, errMine)
				}
				if result != nil || err != nil { // else the goroutine had nothing on its way in that moment
					require.ErrorIs(t, err, flow.ErrTxUnusable)
					n.require()
				}
				select {
				case <-over:
				case <-time.After(time.Minute):
					require.Fail(t, "it goes on talking")
				}
				_, err = n.pool.Exec(t.Context(), "begin; lock table note; commit") // waits until the server has ended the transaction
				require.NoError(t, err)
				require.Zero(t, n.pool.Stat().AcquiredConns())
			})
		}
	}
}

// Rows that a body leaves open are a failure that says what to do, and not one that is worth a repetition.
func TestNested_RowsLeftOpen(t *testing.T) {
	t.Parallel()

	query := func(ctx context.Context, tx pgx.Tx) pgx.Rows {
		rows, err := tx.Query(ctx, "select generate_series(1, 3)")
		require.NoError(t, err)
		require.True(t, rows.Next())
		return rows
	}
	for name, body := range map[string]func(ctx context.Context, tx pgx.Tx) error{
		"one": func(ctx context.Context, tx pgx.Tx) error { query(ctx, tx); return nil },
		"two": func(ctx context.Context, tx pgx.Tx) error {
			query(ctx, tx)
			_, err := tx.Query(ctx, "select 1")
			return err
		},
		"one and a statement": func(ctx context.Context, tx pgx.Tx) error {
			query(ctx, tx)
			_, err := tx.Exec(ctx, "select 1")
			return err
		},
		"a row": func(ctx context.Context, tx pgx.Tx) error { tx.QueryRow(ctx, "select 1"); return nil },
		"a batch": func(ctx context.Context, tx pgx.Tx) error {
			batch := &pgx.Batch{}
			batch.Queue("select 1")
			tx.SendBatch(ctx, batch)
			return nil
		},
		"of the connection itself": func(ctx context.Context, tx pgx.Tx) error {
			if _, err := tx.Conn().Query(ctx, "select 1"); err != nil {
				return err
			}
			_, err := tx.Conn().Query(ctx, "select 1")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNotes(t)
			nested, outer := n.nested(body)
			require.ErrorContains(t, outer, "close its rows")
			require.ErrorIs(t, nested, flow.ErrTxUnusable)
			require.False(t, n.store.Traits().Transient(nested))
			n.require()
			require.Zero(t, n.pool.Stat().AcquiredConns())
		})
	}

	n := newNotes(t)
	nested, outer := n.nested(func(ctx context.Context, tx pgx.Tx) error {
		rows := query(ctx, tx)
		rows.Close()
		rows.Close()
		require.NoError(t, rows.Err())
		rows = query(ctx, tx)
		var bad struct{}
		require.Error(t, rows.Scan(&bad), "which closes the rows")
		n.write(ctx, tx, "body")
		return nil
	})
	require.NoError(t, nested)
	require.NoError(t, outer)
	n.require("before", "body", "after")
}
