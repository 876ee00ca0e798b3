package pgstore_test

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/drivertest"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

// always is a store whose every transaction is pipelined.
type always struct{ *pgstore.Store }

func (s always) InTx(ctx context.Context, fn func(ctx context.Context, tx pgx.Tx) error) error {
	return s.Pipeline(ctx, fn)
}

// A pipelined transaction keeps every promise of a plain one.
func TestPipeline(t *testing.T) {
	t.Parallel()

	drivertest.ExerciseStore(t, func(t *testing.T) driver.Store[pgx.Tx] {
		return always{pgstore.New(dbtest.Postgres(t), nil)}
	})
}

// What is held back until the COMMIT and then refused by the server takes everything back, and is known not to be committed.
func TestPipeline_RefusesAtCommit(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pool := dbtest.Postgres(t)
	store := pgstore.New(pool, nil)
	_, err := pool.Exec(ctx, `create table note (text text)`)
	require.NoError(t, err)

	missing := flow.Transition{
		Run:   flow.Run{ID: flow.RunID{1}, Version: 2, Status: flow.RunRunning},
		Audit: []flow.AuditEntry{{Run: flow.RunID{1}, Seq: 2, Kind: flow.AuditClaimed}},
	}
	held := false
	err = store.Pipeline(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `insert into note values ('kept?')`); err != nil {
			return err
		}
		err := store.Apply(ctx, tx, []flow.Transition{missing})
		held = err == nil
		return err
	})
	require.True(t, held, "Apply answers nothing before the commit")
	require.ErrorContains(t, err, "22012")
	require.False(t, errors.Is(err, flow.ErrCommitUnknown))
	var notes int
	require.NoError(t, pool.QueryRow(ctx, `select count(*) from note`).Scan(&notes))
	require.Zero(t, notes)

	require.NoError(t, store.Pipeline(ctx, func(context.Context, pgx.Tx) error { return nil }), "one that does nothing sends nothing")
	refused := errors.New("changed my mind")
	require.ErrorIs(t, store.Pipeline(ctx, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `insert into note values ('no')`)
		return errors.Join(err, refused)
	}), refused)
	require.NoError(t, pool.QueryRow(ctx, `select count(*) from note`).Scan(&notes))
	require.Zero(t, notes)
}
