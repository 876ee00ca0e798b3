package e2e

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/migrations"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// latin1 is a pool on a database that lacks most characters.
func latin1(t *testing.T) *pgxpool.Pool {
	t.Helper()
	admin := dbtest.Postgres(t, dbtest.Empty)
	name := dbtest.Schema(admin) + "_latin1"
	_, err := admin.Exec(t.Context(), "create database "+name+" encoding 'LATIN1' lc_collate 'C' lc_ctype 'C' template template0")
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := admin.Exec(context.Background(), "drop database "+name+" with (force)")
		require.NoError(t, err)
	})
	pool := dbtest.Changed(t, admin, func(config *pgxpool.Config) {
		config.ConnConfig.Database = name
		config.ConnConfig.RuntimeParams = map[string]string{"client_encoding": "UTF8"}
	})
	require.NoError(t, migrations.UpAllPostgres(t.Context(), pool, nil))
	return pool
}

// What a database cannot store is refused once, wherever it comes from, and quoted nowhere.
func TestDatabaseThatLacksCharacters(t *testing.T) {
	t.Parallel()

	const text = "日本"
	type note struct {
		Text string `json:"text"`
	}
	result := squidmesh.Func(func(context.Context, struct{}) (note, error) { return note{text}, nil })
	resultTx := squidmesh.FuncTx(func(context.Context, pgx.Tx, struct{}) (note, error) { return note{text}, nil })
	fails := squidmesh.Effect(func(context.Context, struct{}) error {
		return squidmesh.WithDetails(note{text}, squidmesh.WithCode("no_"+text, errors.New(text)))
	})
	failsTx := squidmesh.EffectTx(func(context.Context, pgx.Tx, struct{}) error { return squidmesh.WithCode("declined", errors.New(text)) })
	nothing := squidmesh.Effect(func(context.Context, struct{}) error { return nil })
	final := squidmesh.Effect(func(context.Context, struct{}) error { return squidmesh.Fail(context.Canceled) })

	workflows := []squidmesh.Workflow{
		{Name: "takes", Triggers: []squidmesh.Trigger{squidmesh.Manual("by_hand", squidmesh.Payload[note]())}, Steps: []squidmesh.Step{{Name: "act", Do: nothing}}},
		{Name: "waits", Triggers: byHand, Steps: []squidmesh.Step{{Name: "act", Do: squidmesh.Pause()}}},
	}
	codes := map[string]string{
		"result": flow.CodeInvalidOutput, "result_tx": flow.CodeInvalidOutput,
		"fails": flow.CodeError, "fails_tx": "declined",
	}
	for name, do := range map[string]squidmesh.Action{"result": result, "result_tx": resultTx, "fails": fails, "fails_tx": failsTx} {
		workflows = append(workflows,
			squidmesh.Workflow{Name: name, Triggers: byHand, Steps: []squidmesh.Step{{Name: "act", Do: do}}})
		if strings.HasPrefix(name, "fails") {
			workflows = append(workflows, squidmesh.Workflow{Name: name + "_undo", Triggers: byHand, Steps: []squidmesh.Step{
				{Name: "act", Do: nothing, Undo: do, UndoRetry: squidmesh.Constant(2, 0), Next: "fail"}, {Name: "fail", Do: final},
			}})
		}
	}
	logged, pool := &logbook{}, latin1(t)
	p := programOn(t, pool, &squidmesh.Config[pgx.Tx]{Workflows: workflows, Logger: slog.New(slog.NewTextHandler(logged, nil))})
	require.Contains(t, logged.String(), "LATIN1")

	for name, code := range codes {
		run := startNamed(t, p, name)
		awaitStatus(t, p, run, squidmesh.RunFailed)
		in, err := p.InspectRun(t.Context(), run, &squidmesh.InspectOptions{History: true})
		require.NoError(t, err)
		require.Len(t, in.Attempts, 1, name)
		require.Equal(t, code, in.Run.Reason.Code, name)
		require.Contains(t, in.Run.Reason.Message, "cannot store", name)
	}
	for _, name := range []string{"fails_undo", "fails_tx_undo"} {
		run := startNamed(t, p, name)
		require.Eventually(t, func() bool {
			ex, err := p.ExplainRun(t.Context(), run)
			return err == nil && ex.Code == flow.ReasonCompensationFailed
		}, time.Minute, 10*time.Millisecond)
		_, err := p.AcceptUndo(t.Context(), run, squidmesh.Decision{Actor: "ann"})
		require.NoError(t, err)
		awaitStatus(t, p, run, squidmesh.RunFailed)
	}

	refused := func(err error) {
		t.Helper()
		var bad *squidmesh.InputError
		require.ErrorAs(t, err, &bad)
		require.Equal(t, "unstorable", bad.Code)
		require.NotContains(t, err.Error(), text)
	}
	for _, key := range []string{"", "once"} {
		_, err := p.StartRun(t.Context(), squidmesh.StartParams{Workflow: "takes", Key: key, Payload: note{text}})
		refused(err)
	}
	refused(pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		_, err := p.StartRunTx(t.Context(), tx, squidmesh.StartParams{Workflow: "takes", Payload: note{text}})
		return err
	}))
	run := startNamed(t, p, "waits")
	awaitStatus(t, p, run, squidmesh.RunPaused)
	_, err := p.UnblockRun(t.Context(), run, squidmesh.Decision{Comment: text})
	refused(err)
	_, err = p.CancelRun(t.Context(), run, squidmesh.CancelParams{})
	require.NoError(t, err)
	p.stop(t)
	require.NotContains(t, logged.String(), text)
}
