package pgstore_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

// A process that is frozen within a transaction of the runtime's own keeps its locks only until the server ends the transaction.
func TestInTx_ASilentOneLosesItsLocks(t *testing.T) {
	t.Parallel()

	n := newNotes(t)
	_, err := n.pool.Exec(t.Context(), "insert into note values ('locked')")
	require.NoError(t, err)
	store := pgstore.New(n.pool, &pgstore.Options{Lease: 4 * time.Second})
	lock := func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "select from note for no key update")
		return err
	}
	for name, inTx := range map[string]func(context.Context, func(context.Context, pgx.Tx) error) error{
		"a transaction": store.InTx, "a pipelined one": store.Pipeline, "one of the tick": store.ReserveConnection().InTx,
	} {
		err := inTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
			require.NoError(t, lock(ctx, tx))
			ctx, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			require.NoError(t, pgx.BeginFunc(ctx, n.pool, func(other pgx.Tx) error { return lock(ctx, other) }), name)
			return lock(ctx, tx)
		})
		require.True(t, store.Traits().Transient(err), "%s: %v", name, err)
	}
}

// A body may be silent for as long as it likes, before and after it has ended its handle.
func TestNested_ABodyMayBeSilent(t *testing.T) {
	t.Parallel()

	n := newNotes(t)
	store := pgstore.New(n.pool, &pgstore.Options{Lease: 4 * time.Second})
	silent := func(ctx context.Context) { // the limit is two seconds
		_, err := n.pool.Exec(ctx, "select pg_sleep(2.5)")
		require.NoError(t, err)
	}
	err := store.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		require.NoError(t, store.Nested(ctx, tx, func(ctx context.Context, tx pgx.Tx) error {
			silent(ctx)
			n.write(ctx, tx, "body")
			return nil
		}))
		return store.Nested(ctx, tx, func(ctx context.Context, tx pgx.Tx) error {
			require.NoError(t, tx.Rollback(ctx))
			silent(ctx)
			return errMine
		})
	})
	require.Equal(t, errMine, err)

	err = store.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		require.NoError(t, store.Nested(ctx, tx, func(ctx context.Context, tx pgx.Tx) error { return nil }))
		silent(ctx)
		return nil
	})
	require.Error(t, err, "after the body the limit holds again")
}

// The tick's connection is not one of the pool's, and is made anew when it breaks.
func TestDedicate_WorksBesideAnExhaustedPool(t *testing.T) {
	t.Parallel()

	n := newNotes(t)
	line := n.store.ReserveConnection()
	defer line.Close()
	for range n.pool.Config().MaxConns {
		conn, err := n.pool.Acquire(t.Context())
		require.NoError(t, err)
		defer conn.Release()
	}
	for _, text := range []string{"first", "second"} {
		require.NoError(t, line.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
			n.write(ctx, tx, text)
			return nil
		}))
		require.Error(t, line.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "select pg_terminate_backend(pg_backend_pid())")
			return err
		}))
	}
}

// A heartbeat or a look that waits for a lock is given up by the server, after less than a quarter of the lease, so that the tick keeps its
// connection. That of the first one on a connection is, too, which pgx prepares before it.
func TestWorkers_ALockCostsNoConnection(t *testing.T) {
	t.Parallel()

	pool := dbtest.Postgres(t)
	in := func(inTx func(context.Context, func(context.Context, pgx.Tx) error) error, fn func(ctx context.Context, tx pgx.Tx) error) error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		return inTx(ctx, fn)
	}
	var worker flow.WorkerID
	require.NoError(t, in(pgstore.New(pool, nil).InTx, func(ctx context.Context, tx pgx.Tx) error {
		report, err := pgstore.New(pool, nil).Workers(ctx, tx, driver.WorkerTick{Only: driver.TickLease, Register: &flow.Worker{Name: "w"}})
		require.NoError(t, err)
		worker = report.Registered
		require.Equal(t, "0", lockTimeout(ctx, t, tx), "who registers waits")
		return nil
	}))
	for part, table := range map[driver.TickPart]string{driver.TickLease: "squidmesh_worker", driver.TickLook: "squidmesh_step"} {
		store := pgstore.New(dbtest.Changed(t, pool, func(c *pgxpool.Config) { c.MaxConns = 1 }), nil)
		line := store.ReserveConnection()
		t.Cleanup(line.Close)
		for name, inTx := range map[string]func(context.Context, func(context.Context, pgx.Tx) error) error{
			"the tick's connection": line.InTx, "one of the pool": store.InTx,
		} {
			tick := func() (wait string, err error) {
				err = in(inTx, func(ctx context.Context, tx pgx.Tx) error {
					_, err := store.Workers(ctx, tx, driver.WorkerTick{Only: part, Heartbeat: worker, Limit: 10})
					if err == nil {
						wait = lockTimeout(ctx, t, tx)
					}
					return err
				})
				return wait, err
			}
			backend := func() (pid int) {
				require.NoError(t, in(inTx, func(ctx context.Context, tx pgx.Tx) error {
					return tx.QueryRow(ctx, "select pg_backend_pid()").Scan(&pid)
				}))
				return pid
			}
			before := backend()
			for _, which := range []string{"first", "later"} {
				require.NoError(t, pgx.BeginFunc(t.Context(), pool, func(lock pgx.Tx) error {
					_, err := lock.Exec(t.Context(), "lock table "+table)
					require.NoError(t, err)
					for range 2 {
						_, err = tick()
						require.True(t, store.Traits().TimedOut(err), "%s %s on %s: %v", which, part, name, err)
					}
					return nil
				}))
				wait, err := tick()
				require.NoError(t, err)
				require.Equal(t, "800ms", wait)
			}
			require.Equal(t, before, backend(), "%s on %s", part, name)
		}
	}
}

func lockTimeout(ctx context.Context, t *testing.T, tx pgx.Tx) (wait string) {
	t.Helper()
	require.NoError(t, tx.QueryRow(ctx, "select current_setting('lock_timeout')").Scan(&wait))
	return wait
}
