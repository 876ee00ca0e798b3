package e2e

import (
	"context"
	"crypto/rand"
	"database/sql"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
)

// calls are all methods of a runtime that take a context, with arguments that are no reason to refuse them. Those with a
// transaction are by themselves.
func calls[TTx any](rt *squidmesh.Runtime[TTx], id squidmesh.RunID) map[string]func(ctx context.Context, tx TTx) error {
	by := squidmesh.Decision{Actor: "anna"}
	start := squidmesh.StartParams{Workflow: "parcel", Payload: parcel{}}
	of := func(err error, _ ...any) error { return err }
	return map[string]func(ctx context.Context, tx TTx) error{
		"StartRun":   func(ctx context.Context, _ TTx) error { v, err := rt.StartRun(ctx, start); return of(err, v) },
		"StartRunTx": func(ctx context.Context, tx TTx) error { v, err := rt.StartRunTx(ctx, tx, start); return of(err, v) },
		"CancelRun": func(ctx context.Context, _ TTx) error {
			v, err := rt.CancelRun(ctx, id, squidmesh.CancelParams{})
			return of(err, v)
		},
		"CancelRunTx": func(ctx context.Context, tx TTx) error {
			v, err := rt.CancelRunTx(ctx, tx, id, squidmesh.CancelParams{})
			return of(err, v)
		},
		"UnblockRun":   func(ctx context.Context, _ TTx) error { v, err := rt.UnblockRun(ctx, id, by); return of(err, v) },
		"UnblockRunTx": func(ctx context.Context, tx TTx) error { v, err := rt.UnblockRunTx(ctx, tx, id, by); return of(err, v) },
		"ApproveRun":   func(ctx context.Context, _ TTx) error { v, err := rt.ApproveRun(ctx, id, by); return of(err, v) },
		"ApproveRunTx": func(ctx context.Context, tx TTx) error { v, err := rt.ApproveRunTx(ctx, tx, id, by); return of(err, v) },
		"RejectRun":    func(ctx context.Context, _ TTx) error { v, err := rt.RejectRun(ctx, id, by); return of(err, v) },
		"RejectRunTx":  func(ctx context.Context, tx TTx) error { v, err := rt.RejectRunTx(ctx, tx, id, by); return of(err, v) },
		"RetryUndo":    func(ctx context.Context, _ TTx) error { v, err := rt.RetryUndo(ctx, id, by); return of(err, v) },
		"RetryUndoTx":  func(ctx context.Context, tx TTx) error { v, err := rt.RetryUndoTx(ctx, tx, id, by); return of(err, v) },
		"AcceptUndo":   func(ctx context.Context, _ TTx) error { v, err := rt.AcceptUndo(ctx, id, by); return of(err, v) },
		"AcceptUndoTx": func(ctx context.Context, tx TTx) error { v, err := rt.AcceptUndoTx(ctx, tx, id, by); return of(err, v) },
		"ReplayRun": func(ctx context.Context, _ TTx) error {
			v, err := rt.ReplayRun(ctx, id, squidmesh.ReplayParams{})
			return of(err, v)
		},
		"ReplayRunTx": func(ctx context.Context, tx TTx) error {
			v, err := rt.ReplayRunTx(ctx, tx, id, squidmesh.ReplayParams{})
			return of(err, v)
		},
		"InspectRun": func(ctx context.Context, _ TTx) error { v, err := rt.InspectRun(ctx, id, nil); return of(err, v) },
		"Output": func(ctx context.Context, _ TTx) error {
			var out any
			err := rt.Output(ctx, id, "only", &out)
			return of(err, out)
		},
		"InspectRunTx": func(ctx context.Context, tx TTx) error {
			v, err := rt.InspectRunTx(ctx, tx, id, nil)
			return of(err, v)
		},
		"ExplainRun": func(ctx context.Context, _ TTx) error { v, err := rt.ExplainRun(ctx, id); return of(err, v) },
		"ListRuns": func(ctx context.Context, _ TTx) error {
			v, err := rt.ListRuns(ctx, squidmesh.ListParams{})
			return of(err, v)
		},
		"AwaitRun": func(ctx context.Context, _ TTx) error { v, err := rt.AwaitRun(ctx, id); return of(err, v) },
		"FireTrigger": func(ctx context.Context, _ TTx) error {
			v, err := rt.FireTrigger(ctx, "parcel", "nightly", squidmesh.TriggerParams{})
			return of(err, v)
		},
		"FireTriggerTx": func(ctx context.Context, tx TTx) error {
			v, err := rt.FireTriggerTx(ctx, tx, "parcel", "nightly", squidmesh.TriggerParams{})
			return of(err, v)
		},
		"PauseTrigger": func(ctx context.Context, _ TTx) error {
			return rt.PauseTrigger(ctx, "parcel", "nightly", squidmesh.TriggerParams{})
		},
		"PauseTriggerTx": func(ctx context.Context, tx TTx) error {
			return rt.PauseTriggerTx(ctx, tx, "parcel", "nightly", squidmesh.TriggerParams{})
		},
		"ResumeTrigger": func(ctx context.Context, _ TTx) error {
			return rt.ResumeTrigger(ctx, "parcel", "nightly", squidmesh.TriggerParams{})
		},
		"ResumeTriggerTx": func(ctx context.Context, tx TTx) error {
			return rt.ResumeTriggerTx(ctx, tx, "parcel", "nightly", squidmesh.TriggerParams{})
		},
		"ListTriggers": func(ctx context.Context, _ TTx) error {
			v, err := rt.ListTriggers(ctx, squidmesh.ListTriggersParams{})
			return of(err, v)
		},
		"SealRuns": func(ctx context.Context, _ TTx) error {
			v, err := rt.SealRuns(ctx, squidmesh.SealParams{})
			return of(err, v)
		},
		"PruneRuns": func(ctx context.Context, _ TTx) error {
			v, err := rt.PruneRuns(ctx, squidmesh.Retention{Completed: time.Hour})
			return of(err, v)
		},
		"PreviewPrune": func(ctx context.Context, _ TTx) error {
			v, err := rt.PreviewPrune(ctx, squidmesh.Retention{Completed: time.Hour})
			return of(err, v)
		},
		"CheckDeploy": func(ctx context.Context, _ TTx) error {
			v, err := rt.CheckDeploy(ctx, nil)
			return of(err, v)
		},
		"Perform": func(ctx context.Context, _ TTx) error {
			v, err := rt.Perform(ctx, driver.Delivery{})
			return of(err, v)
		},
		"Start": func(ctx context.Context, _ TTx) error { return rt.Start(ctx) },
		"Tick":  func(ctx context.Context, _ TTx) error { return rt.Tick(ctx) },
		"Stop":  func(ctx context.Context, _ TTx) error { return rt.Stop(ctx) },
	}
}

func TestBadContext_Postgres(t *testing.T) {
	t.Parallel()

	inside := make(chan map[string]error, 1)
	var rt *squidmesh.Runtime[pgx.Tx]
	body := squidmesh.EffectTx(func(ctx context.Context, tx pgx.Tx, _ struct{}) error {
		inside <- insideErrors(ctx, rt, tx)
		return nil
	})
	p, pool := postgresProgram(t, &squidmesh.Config[pgx.Tx]{Workflows: []squidmesh.Workflow{parcels(), withBody(body)}, Codec: ring(t)})
	rt = p.Runtime
	ended, err := pool.Begin(t.Context())
	require.NoError(t, err)
	require.NoError(t, ended.Rollback(t.Context()))
	badContexts(t, p, ended, inside, func(table string) (rows int) {
		require.NoError(t, pool.QueryRow(t.Context(), "select count(*) from "+table).Scan(&rows))
		return rows
	})
}

func TestBadContext_SQLite(t *testing.T) {
	t.Parallel()

	inside := make(chan map[string]error, 1)
	var rt *squidmesh.Runtime[*sql.Tx]
	body := squidmesh.EffectTx(func(ctx context.Context, tx *sql.Tx, _ struct{}) error {
		inside <- insideErrors(ctx, rt, tx)
		return nil
	})
	p, store := sqliteProgram(t, &squidmesh.Config[*sql.Tx]{Workflows: []squidmesh.Workflow{parcels(), withBody(body)}, Codec: ring(t)})
	rt = p.Runtime
	ended, err := store.DB().BeginTx(t.Context(), nil)
	require.NoError(t, err)
	require.NoError(t, ended.Rollback())
	badContexts(t, p, ended, inside, func(table string) (rows int) {
		require.NoError(t, store.DB().QueryRowContext(t.Context(), "select count(*) from "+table).Scan(&rows))
		return rows
	})
}

func withBody(body squidmesh.Action) squidmesh.Workflow {
	return squidmesh.Workflow{Name: "body", Triggers: byHand, Steps: []squidmesh.Step{{Name: "body", Do: body, Timeout: time.Minute}}}
}

// insideErrors are what the calls without a transaction answer to the body of a FuncTx step.
func insideErrors[TTx any](ctx context.Context, rt *squidmesh.Runtime[TTx], tx TTx) map[string]error {
	errs := map[string]error{}
	for name, call := range calls(rt, squidmesh.RunID{}) {
		if !strings.HasSuffix(name, "Tx") {
			errs[name] = call(ctx, tx)
		}
	}
	return errs
}

func badContexts[TTx any](t *testing.T, p program[TTx], ended TTx, inside <-chan map[string]error, count func(table string) int) {
	run, err := p.StartRun(t.Context(), squidmesh.StartParams{Workflow: "parcel", Payload: parcel{}})
	require.NoError(t, err)
	awaitStatus(t, p, run.ID, squidmesh.RunPaused)
	body, err := p.StartRun(t.Context(), squidmesh.StartParams{Workflow: "body"})
	require.NoError(t, err)
	awaitStatus(t, p, body.ID, squidmesh.RunCompleted)
	rows := func() map[string]int {
		counts := map[string]int{}
		for _, table := range tables {
			counts[table] = count(table)
		}
		return counts
	}
	before, all := rows(), calls(p.Runtime, run.ID)

	// Every method that takes a context is here.
	methods := reflect.TypeOf(p.Runtime)
	for i := range methods.NumMethod() {
		m := methods.Method(i)
		if m.Type.NumIn() > 1 && m.Type.In(1) == reflect.TypeFor[context.Context]() {
			require.Contains(t, all, m.Name)
		}
	}

	over, cancel := context.WithCancel(t.Context())
	cancel()
	answers := <-inside
	for name, call := range all {
		switch {
		case strings.HasSuffix(name, "Tx"):
			var none TTx
			err := call(t.Context(), none)
			var input *squidmesh.InputError
			require.ErrorAs(t, err, &input, name)
			require.Equal(t, "tx required", input.Field+" "+input.Code, name)
			require.ErrorIs(t, call(t.Context(), ended), squidmesh.ErrTxUnusable, name)
			require.ErrorIs(t, call(over, ended), context.Canceled, name)
		default:
			require.ErrorIs(t, answers[name], squidmesh.ErrInsideTransaction, name)
			if name != "Stop" && name != "Perform" { // which end well, or answer the queue
				require.ErrorIs(t, call(over, ended), context.Canceled, name)
			}
		}
	}
	require.Equal(t, before, rows(), "nothing is written")
}

// ring seals with one key.
func ring(t *testing.T) squidmesh.Codec {
	t.Helper()
	r, err := squidmesh.NewKeyring("one", map[string][]byte{"one": []byte(rand.Text()[:26] + "squids")})
	require.NoError(t, err)
	return r
}
