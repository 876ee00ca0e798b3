package e2e

import (
	"bytes"
	"context"
	"database/sql"
	"log/slog"
	"testing"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/riveradapter"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

func TestExplainRun_WhoseInputCannotBeOpened_Postgres(t *testing.T) {
	t.Parallel()

	pool := dbtest.Postgres(t, dbtest.River)
	explainSealed(t, pgstore.New(pool, nil), riverpgxv5.New(pool))
}

func TestExplainRun_WhoseInputCannotBeOpened_SQLite(t *testing.T) {
	t.Parallel()

	store := dbtest.SQLite(t, nil, dbtest.River)
	explainSealed[*sql.Tx](t, store, riversqlite.New(store.DB()))
}

type text struct {
	Text string `json:"text"`
}

type length struct {
	Length int `json:"length"`
}

// measure has a step that reads the payload, and a step and an undo that read its output.
func measure() squidmesh.Workflow {
	read := squidmesh.Effect(func(context.Context, length) error { return nil })
	return squidmesh.Workflow{
		Name: "measure", Triggers: []squidmesh.Trigger{squidmesh.Manual("by_hand", squidmesh.Payload[text]())},
		Steps: []squidmesh.Step{
			{
				Name: "measure", Next: "ask", Undo: read,
				Do: squidmesh.Func(func(_ context.Context, in text) (length, error) { return length{len(in.Text)}, nil }),
			},
			{Name: "ask", Do: squidmesh.Pause(), Next: "check"},
			{Name: "check", Do: read},
		},
	}
}

// explainSealed asks a program that lacks a key why runs stand still that were written with it: before a step that reads the payload,
// before one that reads an output, and before an undo. A process that has the key does not say so.
func explainSealed[TTx any](t *testing.T, store driver.Store[TTx], driver riverdriver.Driver[TTx]) {
	t.Helper()
	ctx := t.Context()
	ours, err := squidmesh.NewKeyring("ours", map[string][]byte{"ours": bytes.Repeat([]byte{1}, 32)})
	require.NoError(t, err)
	theirs, err := squidmesh.NewKeyring("theirs", map[string][]byte{"theirs": bytes.Repeat([]byte{2}, 32)})
	require.NoError(t, err)
	config := func(codec squidmesh.Codec) *squidmesh.Config[TTx] {
		return &squidmesh.Config[TTx]{
			Store: store, Workflows: []squidmesh.Workflow{measure()}, Codec: codec, Logger: slog.New(slog.DiscardHandler),
		}
	}
	office := func(codec squidmesh.Codec) *squidmesh.Runtime[TTx] { // starts and operates, and executes nothing
		client, err := river.NewClient(driver, &river.Config{})
		require.NoError(t, err)
		c := config(codec)
		c.Executor = riveradapter.New(client)
		rt, err := squidmesh.New(c)
		require.NoError(t, err)
		return rt
	}
	begin := func(rt *squidmesh.Runtime[TTx]) squidmesh.RunID {
		run, err := rt.StartRun(ctx, squidmesh.StartParams{Workflow: "measure", Payload: text{"hello"}})
		require.NoError(t, err)
		return run.ID
	}

	right := startProgram(t, config(ours), driver)
	plain := office(nil)
	goesOn, goesBack := begin(plain), begin(plain)
	awaitStatus(t, right, goesOn, squidmesh.RunPaused)
	awaitStatus(t, right, goesBack, squidmesh.RunPaused)
	right.stop(t)
	fresh := begin(office(ours))
	_, err = plain.UnblockRun(ctx, goesOn, squidmesh.Decision{})
	require.NoError(t, err)
	_, err = plain.CancelRun(ctx, goesBack, squidmesh.CancelParams{Compensate: true})
	require.NoError(t, err)

	for name, codec := range map[string]squidmesh.Codec{"another key": theirs, "no codec": nil} {
		wrong := startProgram(t, config(codec), driver)
		for id, want := range map[squidmesh.RunID]flow.Reason{
			fresh:    {Step: "measure", Phase: flow.PhaseDo, Sentence: "Step measure"},
			goesOn:   {Step: "check", Phase: flow.PhaseDo, Sentence: "Step check"},
			goesBack: {Step: "measure", Phase: flow.PhaseUndo, Sentence: "The run undoes what it did. The undo of measure"},
		} {
			ex, err := wrong.ExplainRun(ctx, id)
			require.NoError(t, err)
			require.Equal(t, flow.ReasonPayloadUnreadable, ex.Code, "%s: %s", name, ex.Sentence)
			require.Equal(t, want.Sentence+` is due, and its input is sealed with key "ours", which this process cannot open: `+
				`give that key to the Codec of the workers, or cancel the run.`, ex.Sentence)
			require.Equal(t, want.Step, ex.Step)
			require.Equal(t, want.Phase, ex.Phase)
			require.Contains(t, ex.Commands, flow.CommandCancel)

			ex, err = office(ours).ExplainRun(ctx, id)
			require.NoError(t, err)
			require.Equal(t, want.Step, ex.Step)
			require.NotEqual(t, flow.ReasonPayloadUnreadable, ex.Code)
		}
		wrong.stop(t)
	}

	_, err = plain.CancelRun(ctx, fresh, squidmesh.CancelParams{})
	require.NoError(t, err)
	ex, err := plain.ExplainRun(ctx, fresh)
	require.NoError(t, err)
	require.Equal(t, flow.ReasonCancelled, ex.Code)
	require.Empty(t, ex.Commands, "the payload of a replay cannot be opened")
	ex, err = office(ours).ExplainRun(ctx, fresh)
	require.NoError(t, err)
	require.Equal(t, []flow.Command{flow.CommandReplay}, ex.Commands)
}
