package squidmesh_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/memstore"
)

// teller is a started process that ticks when it is told to. Its observer may be nil.
func teller(t *testing.T, store *memstore.Store, observer squidmesh.Observer) *squidmesh.Runtime[*memstore.Tx] {
	t.Helper()
	c := newCrowdAt(t, store, doNothing, func(config *squidmesh.Config[*memstore.Tx]) {
		config.Executor, config.Observer = &drowsyQueue{}, observer
		config.Redact = func(field, value string) string {
			if field == "comment" {
				return "redacted"
			}
			return value
		}
	})
	require.NoError(t, c.rt.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, c.rt.Stop(context.WithoutCancel(t.Context()))) })
	return c.rt
}

// startJoined starts a run in a transaction of the caller's, and commits that unless there is an error.
func startJoined(t *testing.T, store *memstore.Store, rt *squidmesh.Runtime[*memstore.Tx], end error) squidmesh.Run {
	t.Helper()
	var run squidmesh.StartResult
	err := store.InTx(t.Context(), func(ctx context.Context, tx *memstore.Tx) (err error) {
		run, err = rt.StartRunTx(ctx, tx, squidmesh.StartParams{Workflow: "single", Payload: word{"hello"}, Actor: "ann"})
		require.NoError(t, err)
		return end
	})
	require.ErrorIs(t, err, end)
	return run.Run
}

// What callers' transactions wrote is told once, after they have committed, as of its own time.
func TestObserver_IsToldOfWhatCallersCommitted(t *testing.T) {
	t.Parallel()
	store, observers := memstore.New(nil), []*seen{{}, {}}
	silent := teller(t, store, nil)
	tellers := []*squidmesh.Runtime[*memstore.Tx]{teller(t, store, observers[0]), teller(t, store, observers[1])}

	run := startJoined(t, store, silent, nil)
	startJoined(t, store, silent, errors.New("no credit"))
	require.NoError(t, store.InTx(t.Context(), func(ctx context.Context, tx *memstore.Tx) error {
		_, err := silent.CancelRunTx(ctx, tx, run.ID, squidmesh.CancelParams{Decision: squidmesh.Decision{Actor: "bob", Comment: "4711"}})
		return err
	}))
	require.NoError(t, silent.Tick(t.Context()), "it leaves them to the others")
	for range 2 {
		for _, rt := range tellers {
			require.NoError(t, rt.Tick(t.Context()))
		}
	}

	require.Empty(t, observers[1].observations, "each is told once")
	told := observers[0].observations
	require.Len(t, told, 2, "what was rolled back has not happened")
	for _, o := range told {
		require.True(t, o.Joined)
		require.Equal(t, run.ID, o.Run.ID)
		require.Empty(t, o.Run.Payload)
		require.Empty(t, o.Entry.Data)
	}
	start, end := told[0], told[1]
	require.Equal(t, flow.AuditStarted, start.Entry.Kind)
	require.Equal(t, "ann", start.Entry.Actor)
	require.Equal(t, run.CreatedAt, start.Entry.At)
	require.Empty(t, start.Before)
	require.Equal(t, squidmesh.RunPending, start.Run.Status, "as it stood then")
	require.Equal(t, flow.AuditCancelled, end.Entry.Kind)
	require.Equal(t, squidmesh.RunPending, end.Before)
	require.Equal(t, squidmesh.RunCancelled, end.Run.Status)
	require.Equal(t, "redacted", end.Data.Comment)
}

// What nobody is there to be told of does not pile up.
func TestObserver_NobodyIsThere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New(nil)
		rt := teller(t, store, nil)
		startJoined(t, store, rt, nil)
		left := func() (n int) {
			errStop := errors.New("stop")
			require.ErrorIs(t, store.InTx(t.Context(), func(ctx context.Context, tx *memstore.Tx) error {
				keys, err := store.TakeUntold(ctx, tx, time.Now(), 10)
				n = len(keys)
				return errors.Join(err, errStop)
			}), errStop)
			return n
		}
		time.Sleep(59 * time.Second) // of the bubble's clock
		require.NoError(t, rt.Tick(t.Context()))
		require.Equal(t, 1, left())
		time.Sleep(2 * time.Second)
		require.NoError(t, rt.Tick(t.Context()))
		require.Zero(t, left())
	})
}

// A run's observations have no gap, whoever wrote them, and as many runs are seen to start as to end.
func TestObserver_JoinedAndOwnAddUp(t *testing.T) {
	t.Parallel()
	observer := &seen{}
	rt := startObserved(t, &squidmesh.Config[*sql.Tx]{Observer: observer})
	tx, err := rt.db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	run, err := rt.StartRunTx(t.Context(), tx, squidmesh.StartParams{Workflow: "flaky", Payload: word{"hello"}})
	require.NoError(t, err)
	require.NoError(t, tx.Commit())
	_, err = rt.AwaitRun(t.Context(), run.ID, squidmesh.RunPaused)
	require.NoError(t, err)
	tx, err = rt.db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	_, err = rt.ApproveRunTx(t.Context(), tx, run.ID, squidmesh.Decision{Actor: "bob", Metadata: json.RawMessage(`{"a":1}`)})
	require.NoError(t, err)
	require.NoError(t, tx.Commit())

	before := squidmesh.RunStatus("")
	for _, o := range observer.of(t, run.ID) {
		require.Equal(t, before, o.Before, "entry %d", o.Entry.Seq)
		require.Equal(t, o.Entry.Kind == flow.AuditStarted || o.Entry.Kind == flow.AuditApproved, o.Joined, "entry %d", o.Entry.Seq)
		require.Empty(t, o.Data.Metadata)
		require.Equal(t, o.Entry.Kind == flow.AuditApproved || !o.Joined && o.Measures.Ran > 0, o.Measures.Ran > 0, "entry %d", o.Entry.Seq)
		before = o.Run.Status
	}
}
