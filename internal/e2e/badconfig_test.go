package e2e

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/riveradapter"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// Every field of a configuration that can be wrong, alone: the error names it, and the database is as it was.
func TestBadConfig(t *testing.T) {
	t.Parallel()

	store := dbtest.SQLite(t, nil, dbtest.River)
	takesPgx := squidmesh.EffectTx(func(context.Context, pgx.Tx, struct{}) error { return nil })
	type config = squidmesh.Config[*sql.Tx]
	for name, c := range map[string]struct {
		change      func(*config)
		field, code string
	}{
		"no store":            {func(c *config) { c.Store = nil }, "Store", "required"},
		"no executor":         {func(c *config) { c.Executor = nil }, "Executor", "required"},
		"no workflows":        {func(c *config) { c.Workflows = nil }, "Workflows", "required"},
		"queue":               {func(c *config) { c.Queue = "Slow" }, "Queue", "bad_queue"},
		"queue of 65 bytes":   {func(c *config) { c.Queue = strings.Repeat("q", 65) }, "Queue", "bad_queue"},
		"queue with NUL":      {func(c *config) { c.Queue = strings.Repeat("\x00", 1000) }, "Queue", "bad_queue"},
		"name of 201 bytes":   {func(c *config) { c.Name = strings.Repeat("n", 201) }, "Name", "too_long"},
		"name of two lines":   {func(c *config) { c.Name = "a\nb" }, "Name", "invalid_text"},
		"name with NUL":       {func(c *config) { c.Name = "a\x00" }, "Name", "invalid_text"},
		"name is no UTF-8":    {func(c *config) { c.Name = "\xff" }, "Name", "invalid_text"},
		"time slice, no unit": {func(c *config) { c.TimeSlice = 5 }, "TimeSlice", "out_of_range"},
		"heartbeat, no unit":  {func(c *config) { c.Heartbeat = 1 }, "Heartbeat", "out_of_range"},
		"time slice":          {func(c *config) { c.TimeSlice = -1 }, "TimeSlice", "out_of_range"},
		"output":              {func(c *config) { c.MaxOutput = -1 }, "MaxOutput", "out_of_range"},
		"retention":           {func(c *config) { c.Retention.Completed = time.Minute - 1 }, "Retention.Completed", "out_of_range"},
		"retention of fires":  {func(c *config) { c.Retention.Fires = -1 }, "Retention.Fires", "out_of_range"},
		"batch of retention":  {func(c *config) { c.Retention.Batch = 10_001 }, "Retention.Batch", "out_of_range"},
		"workflow twice":      {func(c *config) { c.Workflows = append(c.Workflows, note()) }, "Workflows", "duplicate_name"},
		"another transaction": {func(c *config) { c.Workflows[0].Steps[0].Do = takesPgx }, `Workflows: workflow "note": step "note"`, "wrong_transaction"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := &config{Store: store, Executor: riveradapter.New[*sql.Tx](nil), Workflows: []squidmesh.Workflow{note()}}
			_, err := squidmesh.New(config)
			require.NoError(t, err)
			c.change(config)
			_, err = squidmesh.New(config)
			var all *squidmesh.ConfigError
			require.ErrorAs(t, err, &all)
			require.Equal(t, "invalid_config", squidmesh.CodeOf(err))
			require.Len(t, all.Problems, 1, err.Error())
			var bad *squidmesh.InputError
			require.ErrorAs(t, err, &bad)
			require.Equal(t, [2]string{c.field, c.code}, [2]string{bad.Field, bad.Code}, err.Error())
			require.LessOrEqual(t, len(err.Error()), 300, "an error repeats little of what was given")
		})
	}
	t.Cleanup(func() {
		for _, table := range append([]string{"squidmesh_spec", "squidmesh_trigger", "squidmesh_worker"}, tables...) {
			var rows int
			require.NoError(t, store.DB().QueryRowContext(context.Background(), "select count(*) from "+table).Scan(&rows))
			require.Zero(t, rows, table)
		}
	})
}

// Each limit of what callers give is tried just below, at and just above.
func TestLimits_Postgres(t *testing.T) {
	t.Parallel()
	p, _ := postgresProgram(t, &squidmesh.Config[pgx.Tx]{Workflows: []squidmesh.Workflow{parcels(), sized()}})
	runLimits(t, p)
}

func TestLimits_SQLite(t *testing.T) {
	t.Parallel()
	p, _ := sqliteProgram(t, &squidmesh.Config[*sql.Tx]{Workflows: []squidmesh.Workflow{parcels(), sized()}})
	runLimits(t, p)
}

type size struct {
	Bytes int `json:"bytes"`
}

// sized is a workflow whose step's encoded result has as many bytes as its payload says.
func sized() squidmesh.Workflow {
	return squidmesh.Workflow{
		Name: "sized", Triggers: []squidmesh.Trigger{squidmesh.Manual("by_hand", squidmesh.Payload[size]())},
		Steps: []squidmesh.Step{{Name: "make", Output: "made", Do: squidmesh.Func(func(_ context.Context, in size) (string, error) {
			return strings.Repeat("x", in.Bytes-len(`""`)), nil
		})}},
	}
}

func runLimits[TTx any](t *testing.T, p program[TTx]) {
	text := func(n int) string { return strings.Repeat("x", n) }
	start := func(t *testing.T, params squidmesh.StartParams) error {
		params.Workflow = "parcel"
		if params.Payload == nil {
			params.Payload = parcel{Number: "1", Lines: 1}
		}
		_, err := p.StartRun(t.Context(), params)
		return err
	}
	reject := func(t *testing.T, d squidmesh.Decision) error {
		run, err := p.StartRun(t.Context(), squidmesh.StartParams{Workflow: "parcel", Payload: parcel{Number: "1", Lines: 1}})
		require.NoError(t, err)
		awaitStatus(t, p, run.ID, squidmesh.RunPaused)
		_, err = p.RejectRun(t.Context(), run.ID, d)
		return err
	}
	for name, c := range map[string]struct {
		limit int
		call  func(t *testing.T, n int) error
		code  string // of the argument's or the payload's problem
	}{
		"payload": {256 << 10, func(t *testing.T, n int) error {
			const rest = `{"number":"","lines":1}`
			return start(t, squidmesh.StartParams{Payload: parcel{Number: text(n - len(rest)), Lines: 1}})
		}, "too_large"},
		"key":     {255, func(t *testing.T, n int) error { return start(t, squidmesh.StartParams{Key: text(n)}) }, "too_long"},
		"actor":   {200, func(t *testing.T, n int) error { return start(t, squidmesh.StartParams{Actor: text(n)}) }, "too_long"},
		"decider": {200, func(t *testing.T, n int) error { return reject(t, squidmesh.Decision{Actor: text(n)}) }, "too_long"},
		"comment": {4 << 10, func(t *testing.T, n int) error { return reject(t, squidmesh.Decision{Actor: "a", Comment: text(n)}) }, "too_long"},
		"metadata": {16 << 10, func(t *testing.T, n int) error {
			return reject(t, squidmesh.Decision{Actor: "a", Metadata: []byte(`{"a":"` + text(n-len(`{"a":""}`)) + `"}`)})
		}, "too_long"},
		"page": {1000, func(t *testing.T, n int) error {
			_, err := p.ListRuns(t.Context(), squidmesh.ListParams{Limit: n})
			return err
		}, "out_of_range"},
		"name to look for": {63, func(t *testing.T, n int) error {
			_, err := p.ListRuns(t.Context(), squidmesh.ListParams{Workflow: text(n)})
			return err
		}, "bad_name"},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, c.call(t, c.limit-1))
			require.NoError(t, c.call(t, c.limit))
			err := c.call(t, c.limit+1)
			var input *squidmesh.InputError
			var payload *squidmesh.PayloadError
			switch {
			case errors.As(err, &input):
				require.Equal(t, c.code, input.Code)
			case errors.As(err, &payload):
				require.Equal(t, c.code, payload.Problems[0].Code)
			default:
				require.FailNow(t, "not refused by name", "%v", err)
			}
		})
	}
	t.Run("output", func(t *testing.T) {
		const limit = 256 << 10
		for n, want := range map[int]squidmesh.RunStatus{
			limit - 1: squidmesh.RunCompleted, limit: squidmesh.RunCompleted,
			limit + 1: squidmesh.RunFailed,
		} {
			run, err := p.StartRun(t.Context(), squidmesh.StartParams{Workflow: "sized", Payload: size{n}})
			require.NoError(t, err)
			awaitStatus(t, p, run.ID, want)
			in, err := p.InspectRun(t.Context(), run.ID, nil)
			require.NoError(t, err)
			if want == squidmesh.RunFailed {
				require.Equal(t, flow.CodeInvalidOutput, in.Run.Reason.Code)
			}
		}
	})
}
