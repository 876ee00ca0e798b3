package e2e

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
	"github.com/squidmesh/squidmesh-go/squidmesh/sqlitestore"
	"github.com/squidmesh/squidmesh-go/squidmesh/squidmeshtest"
)

func TestKit_Postgres(t *testing.T) {
	t.Parallel()

	crashOnStore(t,
		func(t testing.TB, clock func(time.Time) time.Time) driver.Store[pgx.Tx] {
			return pgstore.New(dbtest.Postgres(t), &pgstore.Options{Clock: clock})
		},
		func(ctx context.Context, tx pgx.Tx, statement string) error {
			_, err := tx.Exec(ctx, statement)
			return err
		},
		func(ctx context.Context, tx pgx.Tx, query string) (n int, err error) {
			err = tx.QueryRow(ctx, query).Scan(&n)
			return n, err
		})
}

func TestKit_SQLite(t *testing.T) {
	t.Parallel()

	crashOnStore(t,
		func(t testing.TB, clock func(time.Time) time.Time) driver.Store[*sql.Tx] {
			return dbtest.SQLite(t, &sqlitestore.Options{Clock: clock})
		},
		func(ctx context.Context, tx *sql.Tx, statement string) error {
			_, err := tx.ExecContext(ctx, statement)
			return err
		},
		func(ctx context.Context, tx *sql.Tx, query string) (n int, err error) {
			err = tx.QueryRowContext(ctx, query).Scan(&n)
			return n, err
		})
}

// crashOnStore crashes a saga everywhere on a real database: its steps write to a table of the program's own.
func crashOnStore[TTx any](
	t *testing.T, open func(testing.TB, func(time.Time) time.Time) driver.Store[TTx],
	exec func(context.Context, TTx, string) error, count func(context.Context, TTx, string) (int, error),
) {
	t.Helper()
	insert := func(what string) squidmesh.Action {
		return squidmesh.EffectTx(func(ctx context.Context, tx TTx, _ struct{}) error {
			return exec(ctx, tx, "insert into seat (what) values ('"+what+"')")
		})
	}
	booking := squidmesh.Workflow{
		Name:     "booking",
		Triggers: []squidmesh.Trigger{squidmesh.Manual("by_hand", squidmesh.Contract{})},
		Steps: []squidmesh.Step{
			{Name: "reserve", Do: insert("reserved"), Undo: insert("released"), Next: "settle"},
			{Name: "settle", Do: squidmesh.Wait(30 * 24 * time.Hour), Next: "review"},
			{Name: "review", Do: squidmesh.Approval(), Output: "review", Next: "done", OnError: "sorry"},
			{Name: "done", Do: insert("done")},
			{Name: "sorry", Do: squidmesh.Effect(func(context.Context, struct{}) error { return squidmesh.Fail(context.Canceled) })},
		},
	}
	squidmeshtest.CrashEverywhere(t, func(t testing.TB) (*squidmeshtest.Kit[TTx], func() any) {
		kit := squidmeshtest.NewOn(t, squidmeshtest.Options[TTx]{
			Config: squidmesh.Config[TTx]{Workflows: []squidmesh.Workflow{booking}},
			Open:   func(clock func(time.Time) time.Time) driver.Store[TTx] { return open(t, clock) },
		})
		kit.InTx(func(ctx context.Context, tx TTx) error { return exec(ctx, tx, "create table seat (what text)") })
		return kit, func() any {
			first, second := kit.Start("booking", nil), kit.Start("booking", nil)
			kit.RunUntilIdle()
			first.Reject(squidmesh.Decision{Actor: "maria"})
			second.Approve(squidmesh.Decision{Actor: "maria"})
			kit.RunUntilIdle()
			require.Equal(t, squidmesh.RunFailed, first.Status())
			require.Equal(t, squidmesh.RunCompleted, second.Status())
			var seats []int
			kit.View(func(ctx context.Context, tx TTx) error {
				for _, what := range []string{"reserved", "released", "done"} {
					n, err := count(ctx, tx, "select count(*) from seat where what = '"+what+"'")
					if err != nil {
						return err
					}
					seats = append(seats, n)
				}
				return nil
			})
			require.Equal(t, []int{2, 1, 1}, seats)
			return seats
		}
	})
}
