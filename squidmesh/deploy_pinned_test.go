package squidmesh_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

// shapeBench is a database on PostgreSQL, where transactions of callers are open side by side.
type shapeBench struct {
	*testing.T
	pool  *pgxpool.Pool
	store *savingStore
}

// savingStore counts what is saved, by whether it is to be noted.
type savingStore struct {
	driver.Store[pgx.Tx]
	mu    sync.Mutex
	saves map[bool]int
}

func (s *savingStore) SaveSpecs(ctx context.Context, tx pgx.Tx, specs []*squidmesh.Spec, note bool) (bool, error) {
	s.mu.Lock()
	s.saves[note]++
	s.mu.Unlock()
	return s.Store.SaveSpecs(ctx, tx, specs, note)
}

func newShapeBench(t *testing.T) *shapeBench {
	t.Helper()
	pool := dbtest.Postgres(t)
	return &shapeBench{T: t, pool: pool, store: &savingStore{Store: pgstore.New(pool, nil), saves: map[bool]int{}}}
}

// client is a process that knows the workflows "digest" and "other", and has started nothing yet.
func (b *shapeBench) client() *squidmesh.Runtime[pgx.Tx] {
	b.Helper()
	other := digest(byHand)
	other.Name = "other"
	rt, err := squidmesh.New(&squidmesh.Config[pgx.Tx]{
		Store: b.store, Executor: &cronQueue[pgx.Tx]{}, Workflows: []squidmesh.Workflow{digest(byHand), other},
		Logger: slog.New(slog.DiscardHandler), ManualTick: true,
	})
	require.NoError(b, err)
	return rt
}

// age makes it long ago that anybody used a definition.
func (b *shapeBench) age() {
	b.Helper()
	_, err := b.pool.Exec(b.Context(), "update squidmesh_spec set used_at = used_at - interval '25 hours'")
	require.NoError(b, err)
}

// inTx is a caller's transaction, in which nothing may wait for long.
func (b *shapeBench) inTx(fn func(ctx context.Context, tx pgx.Tx)) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	require.NoError(b, pgx.BeginFunc(ctx, b.pool, func(tx pgx.Tx) error {
		fn(ctx, tx)
		return nil
	}))
}

func (b *shapeBench) startTx(ctx context.Context, tx pgx.Tx, rt *squidmesh.Runtime[pgx.Tx], workflow string) squidmesh.RunID {
	b.Helper()
	run, err := rt.StartRunTx(ctx, tx, squidmesh.StartParams{Workflow: workflow})
	require.NoError(b, err)
	return run.ID
}

func (b *shapeBench) start(ctx context.Context, rt *squidmesh.Runtime[pgx.Tx], workflow string) {
	b.Helper()
	_, err := rt.StartRun(ctx, squidmesh.StartParams{Workflow: workflow})
	require.NoError(b, err)
}

// Whoever has started a run in a transaction of his own may leave that open: nobody who starts runs or processes waits for it.
func TestStartRunTx_HoldsNobodyUp(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(b *shapeBench){
		"InUse":     func(*shapeBench) {},
		"LongNoUse": (*shapeBench).age,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newShapeBench(t)
			for _, workflow := range []string{"digest", "other"} {
				b.start(t.Context(), b.client(), workflow)
			}
			prepare(b)
			b.inTx(func(ctx context.Context, tx pgx.Tx) {
				opener := b.client()
				b.startTx(ctx, tx, opener, "digest")
				b.inTx(func(ctx context.Context, tx pgx.Tx) {
					b.startTx(ctx, tx, b.client(), "digest")
					b.startTx(ctx, tx, opener, "digest")
				})
				third := b.client()
				b.start(ctx, third, "digest")
				b.start(ctx, third, "other")
				b.start(ctx, opener, "digest")
				process := b.client()
				require.NoError(t, process.Start(ctx))
				require.NoError(t, process.Stop(ctx))
			})
		})
	}
}

// Definitions are no reason for a deadlock.
func TestStartRunTx_InAnyOrder(t *testing.T) {
	t.Parallel()
	b := newShapeBench(t)
	for _, workflow := range []string{"digest", "other"} {
		b.start(t.Context(), b.client(), workflow)
	}
	b.age()
	one, two := b.client(), b.client()
	b.inTx(func(ctx context.Context, tx pgx.Tx) {
		b.startTx(ctx, tx, one, "digest")
		b.inTx(func(ctx context.Context, tx pgx.Tx) {
			b.startTx(ctx, tx, two, "other")
			b.startTx(ctx, tx, two, "digest")
		})
		b.startTx(ctx, tx, one, "other")
	})
}

// somebodyWaits returns when a transaction waits for tx.
func (b *shapeBench) somebodyWaits(ctx context.Context, tx pgx.Tx) {
	b.Helper()
	for waits := false; !waits; {
		require.NoError(b, b.pool.QueryRow(ctx, "select exists (select from pg_stat_activity where $1 = any(pg_blocking_pids(pid)))",
			int32(tx.Conn().PgConn().PID())).Scan(&waits))
	}
}

func (b *shapeBench) prune(ctx context.Context, tx pgx.Tx) int {
	b.Helper()
	pruned, err := b.store.Prune(ctx, tx, driver.PruneQuery{Shapes: time.Now().Add(-24 * time.Hour), Limit: 1})
	require.NoError(b, err)
	return pruned.Shapes
}

// Who starts a workflow that nobody has started before waits for who does so in an open transaction, and keeps nobody else.
func TestStartRun_WaitsForANewShapeAlone(t *testing.T) {
	t.Parallel()
	b := newShapeBench(t)
	rt, done := b.client(), make(chan error, 1)
	b.inTx(func(ctx context.Context, tx pgx.Tx) {
		b.startTx(ctx, tx, b.client(), "digest")
		go func() {
			_, err := rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "digest"})
			done <- err
		}()
		b.somebodyWaits(ctx, tx)
		b.start(ctx, rt, "other")
	})
	require.NoError(t, <-done)
}

// A definition that nobody has used for long is in use once a start counts on it.
func TestPrune_LeavesTheShapesOfOpenStarts(t *testing.T) {
	t.Parallel()
	b := newShapeBench(t)
	process := b.client()
	require.NoError(t, process.Start(t.Context()))
	require.NoError(t, process.Stop(t.Context()))
	b.age()
	var id squidmesh.RunID
	b.inTx(func(ctx context.Context, tx pgx.Tx) {
		id = b.startTx(ctx, tx, b.client(), "digest")
		b.inTx(func(ctx context.Context, tx pgx.Tx) { require.Equal(t, 1, b.prune(ctx, tx), "the other one") })
	})
	b.inTx(func(ctx context.Context, tx pgx.Tx) { require.Zero(t, b.prune(ctx, tx), "it has a run") })
	reader, err := squidmesh.New(&squidmesh.Config[pgx.Tx]{
		Store: b.store, Executor: &cronQueue[pgx.Tx]{}, Workflows: []squidmesh.Workflow{{Name: "unlike", Triggers: digest(byHand).Triggers, Steps: digest().Steps}},
	})
	require.NoError(t, err)
	_, err = reader.InspectRun(t.Context(), id, nil)
	require.NoError(t, err)
}

// A start that comes while a definition is being deleted brings it back.
func TestStartRunTx_AfterAPrune(t *testing.T) {
	t.Parallel()
	b := newShapeBench(t)
	process := b.client()
	require.NoError(t, process.Start(t.Context()))
	require.NoError(t, process.Stop(t.Context()))
	b.age()
	done := make(chan struct{})
	b.inTx(func(ctx context.Context, tx pgx.Tx) {
		require.Equal(t, 2, b.prune(ctx, tx))
		go func() {
			defer close(done)
			b.inTx(func(ctx context.Context, tx pgx.Tx) { b.startTx(ctx, tx, b.client(), "digest") })
		}()
		b.somebodyWaits(ctx, tx)
	})
	<-done
	var shapes int
	require.NoError(t, b.pool.QueryRow(t.Context(), "select count(*) from squidmesh_spec").Scan(&shapes))
	require.Equal(t, 1, shapes)
}

// Once a definition is known to be saved, starts do not ask for it any more. What was saved in a transaction that rolled back is not.
func TestStartRunTx_SavesOnce(t *testing.T) {
	t.Parallel()
	b := newShapeBench(t)
	rt, gone := b.client(), errors.New("rolled back")
	require.ErrorIs(t, pgx.BeginFunc(t.Context(), b.pool, func(tx pgx.Tx) error {
		b.startTx(t.Context(), tx, rt, "digest")
		b.startTx(t.Context(), tx, rt, "digest")
		return gone
	}), gone)
	for range 4 {
		b.inTx(func(ctx context.Context, tx pgx.Tx) { b.startTx(ctx, tx, rt, "digest") })
	}
	require.Equal(t, map[bool]int{false: 4}, b.store.saves, "twice before it rolled back, once to save, once to find it saved")
	b.start(t.Context(), rt, "digest")
	b.start(t.Context(), rt, "other")
	b.start(t.Context(), rt, "other")
	b.inTx(func(ctx context.Context, tx pgx.Tx) { b.startTx(ctx, tx, rt, "other") })
	require.Equal(t, map[bool]int{false: 4, true: 1}, b.store.saves)
}

// A process that is started notes what it uses before its starts would have to look.
func TestTick_NotesDefinitions(t *testing.T) {
	t.Parallel()
	b := newShapeBench(t)
	rt := b.client()
	require.NoError(t, rt.Start(t.Context()))
	defer func() { require.NoError(t, rt.Stop(context.Background())) }()
	b.age()
	require.NoError(t, rt.Tick(t.Context()))
	require.Equal(t, map[bool]int{true: 1}, b.store.saves, "when it started")
	rt.AgeNotes(45 * time.Minute)
	require.NoError(t, rt.Tick(t.Context()))
	require.NoError(t, rt.Tick(t.Context()))
	require.Equal(t, map[bool]int{true: 2}, b.store.saves)
	var noted int
	require.NoError(t, b.pool.QueryRow(t.Context(), "select count(*) from squidmesh_spec where used_at > now() - interval '1 hour'").Scan(&noted))
	require.Equal(t, 2, noted)
}
