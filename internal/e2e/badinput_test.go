package e2e

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/riveradapter"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// refusal is the error that a bad input must lead to: a sentinel, an InputError with field and code, or a PayloadError whose first
// problem has them.
type refusal struct {
	is          error
	field, code string
}

func (want refusal) check(t *testing.T, err error) {
	t.Helper()
	require.Error(t, err)
	require.LessOrEqual(t, len(err.Error()), 1000, "an error repeats little of what was given")
	require.True(t, utf8.ValidString(err.Error()))
	require.NotContains(t, err.Error(), "\x00")
	if want.is != nil {
		require.ErrorIs(t, err, want.is)
		require.NotEmpty(t, squidmesh.CodeOf(err))
		require.Equal(t, squidmesh.CodeOf(want.is), squidmesh.CodeOf(err))
		return
	}
	var payload *squidmesh.PayloadError
	if errors.As(err, &payload) {
		require.Equal(t, want, refusal{field: payload.Problems[0].Field, code: payload.Problems[0].Code}, err.Error())
		require.Equal(t, "invalid_payload", squidmesh.CodeOf(err))
		return
	}
	var input *squidmesh.InputError
	require.ErrorAs(t, err, &input)
	require.Equal(t, want, refusal{field: input.Field, code: input.Code}, err.Error())
	require.Equal(t, "invalid_argument", squidmesh.CodeOf(err))
}

// badInput is one row of the table: a call that must be refused, and leave every table as it was.
type badInput[TTx any] struct {
	name string
	call func(ctx context.Context, b *badBench[TTx]) error
	want refusal
}

// badBench is a program with a run in each state that matters, which stands still.
type badBench[TTx any] struct {
	program[TTx]
	t                           *testing.T
	count                       func(table string) int
	begin                       func() TTx
	commit                      func(TTx)
	waiting, shipped, cancelled squidmesh.RunID
	elsewhere                   *squidmesh.Runtime[TTx] // of a program without the workflow
}

// joined is a call within a transaction that commits all the same.
func joined[TTx any](call func(ctx context.Context, b *badBench[TTx], tx TTx) error) func(context.Context, *badBench[TTx]) error {
	return func(ctx context.Context, b *badBench[TTx]) error {
		tx := b.begin()
		defer b.commit(tx)
		return call(ctx, b, tx)
	}
}

type parcel struct {
	Number string          `json:"number"`
	Lines  int             `json:"lines"`
	Weight float64         `json:"weight,omitempty"`
	Extra  json.RawMessage `json:"extra,omitempty"`
}

func parcels() squidmesh.Workflow {
	return squidmesh.Workflow{
		Name: "parcel",
		Triggers: []squidmesh.Trigger{
			squidmesh.Manual("by_hand", squidmesh.Payload[parcel]()),
			squidmesh.Cron("nightly", "0 0 1 1 *", "", squidmesh.Payload[parcel](squidmesh.Defaults{"number": "none", "lines": 0})),
		},
		Steps: []squidmesh.Step{
			{Name: "review", Do: squidmesh.Approval(), Output: "review", Next: "ship", OnError: squidmesh.Complete},
			{Name: "ship", Do: nothing(), Irreversible: true},
		},
	}
}

func TestBadInput_Postgres(t *testing.T) {
	t.Parallel()

	config := &squidmesh.Config[pgx.Tx]{Workflows: []squidmesh.Workflow{parcels()}}
	p, pool := postgresProgram(t, config)
	runBadInputs(t, config.Store, &badBench[pgx.Tx]{
		program: p, t: t,
		count: func(table string) (rows int) {
			require.NoError(t, pool.QueryRow(t.Context(), "select count(*) from "+table).Scan(&rows))
			return rows
		},
		begin: func() pgx.Tx {
			tx, err := pool.Begin(t.Context())
			require.NoError(t, err)
			return tx
		},
		commit: func(tx pgx.Tx) { _ = tx.Commit(t.Context()) }, // which fails after an error of the database, and rolls back
	})
}

func TestBadInput_SQLite(t *testing.T) {
	t.Parallel()

	config := &squidmesh.Config[*sql.Tx]{Workflows: []squidmesh.Workflow{parcels()}}
	p, store := sqliteProgram(t, config)
	runBadInputs(t, config.Store, &badBench[*sql.Tx]{
		program: p, t: t,
		count: func(table string) (rows int) {
			require.NoError(t, store.DB().QueryRowContext(t.Context(), "select count(*) from "+table).Scan(&rows))
			return rows
		},
		begin: func() *sql.Tx {
			tx, err := store.DB().BeginTx(t.Context(), nil)
			require.NoError(t, err)
			return tx
		},
		commit: func(tx *sql.Tx) { _ = tx.Commit() },
	})
}

func (b *badBench[TTx]) prepare() {
	start := func(key string) squidmesh.RunID {
		run, err := b.StartRun(b.t.Context(), squidmesh.StartParams{Workflow: "parcel", Payload: parcel{Number: "1", Lines: 1}, Key: key})
		require.NoError(b.t, err)
		awaitStatus(b.t, b.program, run.ID, squidmesh.RunPaused)
		return run.ID
	}
	b.waiting, b.shipped, b.cancelled = start("taken"), start(""), start("")
	_, err := b.ApproveRun(b.t.Context(), b.shipped, squidmesh.Decision{Actor: "anna"})
	require.NoError(b.t, err)
	awaitStatus(b.t, b.program, b.shipped, squidmesh.RunCompleted)
	_, err = b.CancelRun(b.t.Context(), b.cancelled, squidmesh.CancelParams{})
	require.NoError(b.t, err)
}

// rows counts every table in which a call could leave something.
func (b *badBench[TTx]) rows() map[string]int {
	counts := map[string]int{}
	for _, table := range append([]string{"squidmesh_spec", "squidmesh_trigger", "squidmesh_fire"}, tables...) {
		counts[table] = b.count(table)
	}
	return counts
}

func runBadInputs[TTx any](t *testing.T, store driver.Store[TTx], b *badBench[TTx]) {
	b.prepare()
	var err error
	b.elsewhere, err = squidmesh.New(&squidmesh.Config[TTx]{
		Store: store, Executor: riveradapter.New(b.client),
		Workflows: []squidmesh.Workflow{note()},
	})
	require.NoError(t, err)
	before := b.rows()
	table := append(badStarts[TTx](), badDecisions[TTx]()...)
	table = append(append(table, badReads[TTx]()...), badTriggers[TTx]()...)
	table = append(table, badDeliveries[TTx]()...)
	require.GreaterOrEqual(t, len(table), 300)
	for _, row := range table {
		t.Run(row.name, func(t *testing.T) {
			row.want.check(t, row.call(t.Context(), b))
			require.Equal(t, before, b.rows(), "nothing is written")
		})
	}
	in, err := b.InspectRun(t.Context(), b.waiting, nil)
	require.NoError(t, err)
	require.Equal(t, squidmesh.RunPaused, in.Run.Status, "it still waits")
}

type explosive struct{}

func (explosive) MarshalJSON() ([]byte, error) { panic("not me") }

// badStarts are each tried with StartRun and, in a transaction that commits all the same, with StartRunTx.
func badStarts[TTx any]() []badInput[TTx] {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	payload := func(rest string) squidmesh.StartParams {
		return squidmesh.StartParams{Workflow: "parcel", Payload: json.RawMessage(`{"number":"1","lines":1` + rest + `}`)}
	}
	raw := func(text string) squidmesh.StartParams {
		return squidmesh.StartParams{Workflow: "parcel", Payload: json.RawMessage(text)}
	}
	keyed := func(key, actor string) squidmesh.StartParams {
		p := payload("")
		p.Key, p.Actor = key, actor
		return p
	}
	var rows []badInput[TTx]
	for _, c := range []struct {
		name   string
		params squidmesh.StartParams
		want   refusal
	}{
		{"no workflow", squidmesh.StartParams{}, refusal{is: squidmesh.ErrUnknownWorkflow}},
		{"unknown workflow", squidmesh.StartParams{Workflow: "parcle"}, refusal{is: squidmesh.ErrUnknownWorkflow}},
		{"workflow with NUL", squidmesh.StartParams{Workflow: "parcel\x00"}, refusal{is: squidmesh.ErrUnknownWorkflow}},
		{"workflow of 1 MB", squidmesh.StartParams{Workflow: strings.Repeat("\xff", 1<<20)}, refusal{is: squidmesh.ErrUnknownWorkflow}},
		{"unknown trigger", squidmesh.StartParams{Workflow: "parcel", Trigger: "\u202ehand"}, refusal{is: squidmesh.ErrUnknownTrigger}},
		{"no payload", squidmesh.StartParams{Workflow: "parcel"}, refusal{field: "number", code: "missing_field"}},
		{"missing field", raw(`{"number":"1"}`), refusal{field: "lines", code: "missing_field"}},
		{"unknown field", payload(`,"weigth":1`), refusal{field: "weigth", code: "unknown_field"}},
		{"unknown field of 1 KB", payload(`,"` + strings.Repeat("x", 1000) + `":1`), refusal{field: `["` + strings.Repeat("x", 61) + `..."]`, code: "unknown_field"}},
		{"wrong type", raw(`{"number":1,"lines":1}`), refusal{field: "number", code: "wrong_type"}},
		{"null field", raw(`{"number":null,"lines":1}`), refusal{field: "number", code: "null"}},
		{"null", raw(`null`), refusal{code: "not_an_object"}},
		{"array", raw(`[]`), refusal{code: "not_an_object"}},
		{"text", squidmesh.StartParams{Workflow: "parcel", Payload: "{}"}, refusal{code: "not_an_object"}},
		{"above 256 KiB", payload(`,"extra":"` + strings.Repeat("x", 256<<10) + `"`), refusal{code: "too_large"}},
		{"NUL in a value", payload(`,"extra":"\u0000"`), refusal{field: "extra", code: "nul_character"}},
		{"NUL in a key", payload(`,"extra":{"\u0000":1}`), refusal{field: "extra", code: "nul_character"}},
		{"no UTF-8", payload(",\"extra\":\"\xff\""), refusal{field: "extra", code: "invalid_utf8"}},
		{"lone surrogate", payload(`,"extra":"\ud800"`), refusal{field: "extra", code: "lone_surrogate"}},
		{"too deep", payload(`,"extra":` + deep(64)), refusal{field: "extra" + strings.Repeat("[0]", 63), code: "too_deep"}},
		{"duplicate key", payload(`,"lines":2`), refusal{field: "lines", code: "duplicate_key"}},
		{"1e400", payload(`,"weight":1e400`), refusal{field: "weight", code: "out_of_range"}},
		{"number of 1 KB", payload(`,"weight":` + strings.Repeat("9", 1000)), refusal{field: "weight", code: "out_of_range"}},
		{"two values", raw(`{"number":"1","lines":1} {}`), refusal{code: "trailing_data"}},
		{"cut off", raw(`{"number":"1"`), refusal{code: "invalid_json"}},
		{"NaN", squidmesh.StartParams{Workflow: "parcel", Payload: parcel{Weight: math.NaN()}}, refusal{field: "Payload", code: "invalid_json"}},
		{"payload that panics", squidmesh.StartParams{Workflow: "parcel", Payload: explosive{}}, refusal{field: "Payload", code: "invalid_json"}},
		{"key of 256 bytes", keyed(strings.Repeat("k", 256), ""), refusal{field: "Key", code: "too_long"}},
		{"key of two lines", keyed("a\nb", ""), refusal{field: "Key", code: "invalid_text"}},
		{"key with NUL", keyed("a\x00", ""), refusal{field: "Key", code: "invalid_text"}},
		{"key that is no UTF-8", keyed("\xff", ""), refusal{field: "Key", code: "invalid_text"}},
		{"key that turns text around", keyed("\u202e", ""), refusal{field: "Key", code: "invalid_text"}},
		{"key of another payload", keyed("taken", ""), refusal{is: squidmesh.ErrKeyConflict}},
		{"actor of 201 bytes", keyed("", strings.Repeat("a", 201)), refusal{field: "Actor", code: "too_long"}},
		{"actor with NUL", keyed("", "a\x00"), refusal{field: "Actor", code: "invalid_text"}},
	} {
		if c.name == "key of another payload" {
			c.params.Payload = parcel{Number: "2"}
		}
		rows = append(rows, badInput[TTx]{"start/" + c.name, func(ctx context.Context, b *badBench[TTx]) error {
			_, err := b.StartRun(ctx, c.params)
			return err
		}, c.want}, badInput[TTx]{"start tx/" + c.name, joined(func(ctx context.Context, b *badBench[TTx], tx TTx) error {
			_, err := b.StartRunTx(ctx, tx, c.params)
			return err
		}), c.want})
	}
	return rows
}

// decide is one of the commands that take a decision.
type decide[TTx any] func(context.Context, squidmesh.RunID, squidmesh.Decision) (squidmesh.Run, error)

// decideTx is its twin within a transaction.
type decideTx[TTx any] func(context.Context, TTx, squidmesh.RunID, squidmesh.Decision) (squidmesh.Run, error)

// badDecisions are each tried with the call and with its twin.
func badDecisions[TTx any]() []badInput[TTx] {
	commands := []struct {
		name  string
		actor bool // is required
		of    func(*badBench[TTx]) (decide[TTx], decideTx[TTx])
	}{
		{"cancel", false, func(b *badBench[TTx]) (decide[TTx], decideTx[TTx]) {
			return func(ctx context.Context, id squidmesh.RunID, d squidmesh.Decision) (squidmesh.Run, error) {
					return b.CancelRun(ctx, id, squidmesh.CancelParams{Decision: d})
				}, func(ctx context.Context, tx TTx, id squidmesh.RunID, d squidmesh.Decision) (squidmesh.Run, error) {
					return b.CancelRunTx(ctx, tx, id, squidmesh.CancelParams{Decision: d})
				}
		}},
		{"unblock", false, func(b *badBench[TTx]) (decide[TTx], decideTx[TTx]) { return b.UnblockRun, b.UnblockRunTx }},
		{"approve", true, func(b *badBench[TTx]) (decide[TTx], decideTx[TTx]) { return b.ApproveRun, b.ApproveRunTx }},
		{"reject", true, func(b *badBench[TTx]) (decide[TTx], decideTx[TTx]) { return b.RejectRun, b.RejectRunTx }},
		{"retry undo", false, func(b *badBench[TTx]) (decide[TTx], decideTx[TTx]) { return b.RetryUndo, b.RetryUndoTx }},
		{"accept undo", true, func(b *badBench[TTx]) (decide[TTx], decideTx[TTx]) { return b.AcceptUndo, b.AcceptUndoTx }},
	}
	metadata := func(text string) squidmesh.Decision {
		return squidmesh.Decision{Actor: "a", Metadata: json.RawMessage(text)}
	}
	var rows []badInput[TTx]
	for _, command := range commands {
		add := func(name string, id func(*badBench[TTx]) squidmesh.RunID, d squidmesh.Decision, want refusal) {
			rows = append(rows, badInput[TTx]{command.name + "/" + name, func(ctx context.Context, b *badBench[TTx]) error {
				call, _ := command.of(b)
				_, err := call(ctx, id(b), d)
				return err
			}, want}, badInput[TTx]{command.name + " tx/" + name, joined(func(ctx context.Context, b *badBench[TTx], tx TTx) error {
				_, call := command.of(b)
				_, err := call(ctx, tx, id(b), d)
				return err
			}), want})
		}
		waiting := func(b *badBench[TTx]) squidmesh.RunID { return b.waiting }
		for _, c := range []struct {
			name     string
			decision squidmesh.Decision
			want     refusal
		}{
			{"actor of 201 bytes", squidmesh.Decision{Actor: strings.Repeat("a", 201)}, refusal{field: "Actor", code: "too_long"}},
			{"actor of two lines", squidmesh.Decision{Actor: "a\nb"}, refusal{field: "Actor", code: "invalid_text"}},
			{"comment above 4 KiB", squidmesh.Decision{Actor: "a", Comment: strings.Repeat("c", 4097)}, refusal{field: "Comment", code: "too_long"}},
			{"comment with NUL", squidmesh.Decision{Actor: "a", Comment: "\x00"}, refusal{field: "Comment", code: "invalid_text"}},
			{"metadata above 16 KiB", metadata(`{"a":"` + strings.Repeat("x", 16<<10) + `"}`), refusal{field: "Metadata", code: "too_long"}},
			{"metadata is a list", metadata(`[]`), refusal{field: "Metadata", code: "not_an_object"}},
			{"metadata with NUL", metadata(`{"a":"\u0000"}`), refusal{field: "Metadata", code: "nul_character"}},
			{"metadata with a key twice", metadata(`{"a":1,"a":1}`), refusal{field: "Metadata", code: "duplicate_key"}},
			{"metadata too deep", metadata(`{"a":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`), refusal{field: "Metadata", code: "too_deep"}},
			{"metadata and more", metadata(`{}{}`), refusal{field: "Metadata", code: "trailing_data"}},
			{"step", squidmesh.Decision{Actor: "a", Step: "no name"}, refusal{field: "Step", code: "bad_name"}},
		} {
			add(c.name, waiting, c.decision, c.want)
		}
		if command.actor {
			add("no actor", waiting, squidmesh.Decision{}, refusal{field: "Actor", code: "required"})
		}
		by := squidmesh.Decision{Actor: "a"}
		add("no id", func(*badBench[TTx]) squidmesh.RunID { return squidmesh.RunID{} }, by, refusal{is: squidmesh.ErrNotFound})
		add("unknown id", func(*badBench[TTx]) squidmesh.RunID { return uuid.New() }, by, refusal{is: squidmesh.ErrNotFound})
		add("finished", func(b *badBench[TTx]) squidmesh.RunID { return b.shipped }, by, refusal{is: squidmesh.ErrFinished})
		switch command.name {
		case "unblock", "retry undo", "accept undo":
			add("not waiting", waiting, by, refusal{is: squidmesh.ErrNotWaiting})
		case "approve", "reject":
			add("another step", waiting, squidmesh.Decision{Actor: "a", Step: "ship"}, refusal{is: squidmesh.ErrNotWaiting})
		}
	}
	replay := func(name string, id func(*badBench[TTx]) squidmesh.RunID, params squidmesh.ReplayParams, want refusal) {
		rows = append(rows, badInput[TTx]{"replay/" + name, func(ctx context.Context, b *badBench[TTx]) error {
			_, err := b.ReplayRun(ctx, id(b), params)
			return err
		}, want}, badInput[TTx]{"replay tx/" + name, joined(func(ctx context.Context, b *badBench[TTx], tx TTx) error {
			_, err := b.ReplayRunTx(ctx, tx, id(b), params)
			return err
		}), want})
	}
	cancelled := func(b *badBench[TTx]) squidmesh.RunID { return b.cancelled }
	replay("unknown id", func(*badBench[TTx]) squidmesh.RunID { return uuid.New() }, squidmesh.ReplayParams{}, refusal{is: squidmesh.ErrNotFound})
	replay("not finished", func(b *badBench[TTx]) squidmesh.RunID { return b.waiting }, squidmesh.ReplayParams{}, refusal{is: squidmesh.ErrNotFinished})
	replay("unsafe", func(b *badBench[TTx]) squidmesh.RunID { return b.shipped }, squidmesh.ReplayParams{}, refusal{is: squidmesh.ErrUnsafeReplay})
	replay("key of 256 bytes", cancelled, squidmesh.ReplayParams{Key: strings.Repeat("k", 256)}, refusal{field: "Key", code: "too_long"})
	replay("actor with a tab", cancelled, squidmesh.ReplayParams{Actor: "a\t"}, refusal{field: "Actor", code: "invalid_text"})
	return append(rows,
		badInput[TTx]{"replay/workflow is gone", func(ctx context.Context, b *badBench[TTx]) error {
			_, err := b.elsewhere.ReplayRun(ctx, b.cancelled, squidmesh.ReplayParams{})
			return err
		}, refusal{is: squidmesh.ErrUnknownWorkflow}},
		badInput[TTx]{"replay tx/workflow is gone", joined(func(ctx context.Context, b *badBench[TTx], tx TTx) error {
			_, err := b.elsewhere.ReplayRunTx(ctx, tx, b.cancelled, squidmesh.ReplayParams{})
			return err
		}), refusal{is: squidmesh.ErrUnknownWorkflow}},
	)
}

func badReads[TTx any]() []badInput[TTx] {
	var rows []badInput[TTx]
	list := func(name string, params squidmesh.ListParams, want refusal) {
		rows = append(rows, badInput[TTx]{"list/" + name, func(ctx context.Context, b *badBench[TTx]) error {
			_, err := b.ListRuns(ctx, params)
			return err
		}, want})
	}
	now := time.Now()
	list("limit below", squidmesh.ListParams{Limit: -1}, refusal{field: "Limit", code: "out_of_range"})
	list("limit above", squidmesh.ListParams{Limit: 1001}, refusal{field: "Limit", code: "out_of_range"})
	list("status", squidmesh.ListParams{Statuses: []squidmesh.RunStatus{"Completed "}}, refusal{field: "Statuses", code: "unknown_status"})
	list("cursor", squidmesh.ListParams{Cursor: "id; drop table"}, refusal{field: "Cursor", code: "invalid_cursor"})
	list("cursor of no id", squidmesh.ListParams{Cursor: "MjAyNi0wMS0wMlQwMzowNDowNVogeA"}, refusal{field: "Cursor", code: "invalid_cursor"})
	list("workflow with NUL", squidmesh.ListParams{Workflow: "a\x00"}, refusal{field: "Workflow", code: "bad_name"})
	list("key with NUL", squidmesh.ListParams{Key: "a\x00"}, refusal{field: "Key", code: "invalid_text"})
	list("key of 256 bytes", squidmesh.ListParams{Key: strings.Repeat("k", 256)}, refusal{field: "Key", code: "too_long"})
	list("year", squidmesh.ListParams{CreatedFrom: now.AddDate(100000, 0, 0)}, refusal{field: "CreatedFrom", code: "out_of_range"})
	list("nothing between", squidmesh.ListParams{CreatedFrom: now, CreatedBefore: now}, refusal{field: "CreatedBefore", code: "out_of_range"})
	read := func(name string, call func(ctx context.Context, b *badBench[TTx]) error, want refusal) {
		rows = append(rows, badInput[TTx]{name, call, want})
	}
	read("inspect/unknown id", func(ctx context.Context, b *badBench[TTx]) error {
		_, err := b.InspectRun(ctx, uuid.New(), nil)
		return err
	}, refusal{is: squidmesh.ErrNotFound})
	read("inspect tx/unknown id", joined(func(ctx context.Context, b *badBench[TTx], tx TTx) error {
		_, err := b.InspectRunTx(ctx, tx, uuid.New(), nil)
		return err
	}), refusal{is: squidmesh.ErrNotFound})
	for name, c := range map[string]struct {
		retention squidmesh.Retention
		field     string
	}{
		"completed":   {squidmesh.Retention{Completed: time.Second}, "Retention.Completed"},
		"failed":      {squidmesh.Retention{Failed: -time.Hour}, "Retention.Failed"},
		"cancelled":   {squidmesh.Retention{Cancelled: 1}, "Retention.Cancelled"},
		"fires":       {squidmesh.Retention{Fires: time.Minute - 1}, "Retention.Fires"},
		"batch below": {squidmesh.Retention{Completed: time.Hour, Batch: -1}, "Retention.Batch"},
		"batch above": {squidmesh.Retention{Completed: time.Hour, Batch: 10_001}, "Retention.Batch"},
	} {
		want := refusal{field: c.field, code: "out_of_range"}
		read("prune/"+name, func(ctx context.Context, b *badBench[TTx]) error {
			_, err := b.PruneRuns(ctx, c.retention)
			return err
		}, want)
		read("preview prune/"+name, func(ctx context.Context, b *badBench[TTx]) error {
			_, err := b.PreviewPrune(ctx, c.retention)
			return err
		}, want)
	}
	for name, c := range map[string]struct {
		options squidmesh.DeployOptions
		want    refusal
	}{
		"workflow":    {squidmesh.DeployOptions{Workflows: []string{"parcel", "\xff"}}, refusal{field: "Workflows", code: "bad_name"}},
		"no name":     {squidmesh.DeployOptions{Workflows: []string{""}}, refusal{field: "Workflows", code: "bad_name"}},
		"named below": {squidmesh.DeployOptions{Named: -1}, refusal{field: "Named", code: "out_of_range"}},
		"named above": {squidmesh.DeployOptions{Named: 1001}, refusal{field: "Named", code: "out_of_range"}},
	} {
		read("check deploy/"+name, func(ctx context.Context, b *badBench[TTx]) error {
			_, err := b.CheckDeploy(ctx, &c.options)
			return err
		}, c.want)
	}
	read("explain/unknown id", func(ctx context.Context, b *badBench[TTx]) error {
		_, err := b.ExplainRun(ctx, uuid.New())
		return err
	}, refusal{is: squidmesh.ErrNotFound})
	read("await/unknown id", func(ctx context.Context, b *badBench[TTx]) error {
		_, err := b.AwaitRun(ctx, uuid.New())
		return err
	}, refusal{is: squidmesh.ErrNotFound})
	read("await/status", func(ctx context.Context, b *badBench[TTx]) error {
		_, err := b.AwaitRun(ctx, b.waiting, "paused\x00")
		return err
	}, refusal{field: "statuses", code: "unknown_status"})
	read("start runtime twice", func(ctx context.Context, b *badBench[TTx]) error { return b.Start(ctx) }, refusal{is: squidmesh.ErrStarted})
	return rows
}

func badTriggers[TTx any]() []badInput[TTx] {
	var rows []badInput[TTx]
	for name, key := range map[string]flow.TriggerKey{
		"unknown workflow": {Workflow: "other", Trigger: "nightly"},
		"unknown trigger":  {Workflow: "parcel", Trigger: "daily"},
		"by hand":          {Workflow: "parcel", Trigger: "by_hand"},
		"NUL":              {Workflow: "parcel", Trigger: "nightly\x00"},
		"long":             {Workflow: strings.Repeat("x", 10000), Trigger: "nightly"},
	} {
		want := refusal{is: squidmesh.ErrUnknownTrigger}
		rows = append(rows,
			badInput[TTx]{"fire/" + name, func(ctx context.Context, b *badBench[TTx]) error {
				_, err := b.FireTrigger(ctx, key.Workflow, key.Trigger, squidmesh.TriggerParams{})
				return err
			}, want},
			badInput[TTx]{"pause/" + name, func(ctx context.Context, b *badBench[TTx]) error {
				return b.PauseTrigger(ctx, key.Workflow, key.Trigger, squidmesh.TriggerParams{})
			}, want},
			badInput[TTx]{"resume/" + name, func(ctx context.Context, b *badBench[TTx]) error {
				return b.ResumeTrigger(ctx, key.Workflow, key.Trigger, squidmesh.TriggerParams{})
			}, want},
			badInput[TTx]{"fire tx/" + name, joined(func(ctx context.Context, b *badBench[TTx], tx TTx) error {
				_, err := b.FireTriggerTx(ctx, tx, key.Workflow, key.Trigger, squidmesh.TriggerParams{})
				return err
			}), want},
			badInput[TTx]{"pause tx/" + name, joined(func(ctx context.Context, b *badBench[TTx], tx TTx) error {
				return b.PauseTriggerTx(ctx, tx, key.Workflow, key.Trigger, squidmesh.TriggerParams{})
			}), want},
			badInput[TTx]{"resume tx/" + name, joined(func(ctx context.Context, b *badBench[TTx], tx TTx) error {
				return b.ResumeTriggerTx(ctx, tx, key.Workflow, key.Trigger, squidmesh.TriggerParams{})
			}), want},
		)
	}
	for _, c := range []struct {
		name   string
		params squidmesh.TriggerParams
		want   refusal
	}{
		{"actor of 201 bytes", squidmesh.TriggerParams{Actor: strings.Repeat("a", 201)}, refusal{field: "Actor", code: "too_long"}},
		{"actor of two lines", squidmesh.TriggerParams{Actor: "a\nb"}, refusal{field: "Actor", code: "invalid_text"}},
		{"actor of no text", squidmesh.TriggerParams{Actor: "\xff"}, refusal{field: "Actor", code: "invalid_text"}},
		{"comment above 4 KiB", squidmesh.TriggerParams{Comment: strings.Repeat("c", 4097)}, refusal{field: "Comment", code: "too_long"}},
		{"comment with NUL", squidmesh.TriggerParams{Comment: "\x00"}, refusal{field: "Comment", code: "invalid_text"}},
	} {
		rows = append(rows,
			badInput[TTx]{"fire/" + c.name, func(ctx context.Context, b *badBench[TTx]) error {
				_, err := b.FireTrigger(ctx, "parcel", "nightly", c.params)
				return err
			}, c.want},
			badInput[TTx]{"pause/" + c.name, func(ctx context.Context, b *badBench[TTx]) error {
				return b.PauseTrigger(ctx, "parcel", "nightly", c.params)
			}, c.want},
			badInput[TTx]{"resume/" + c.name, func(ctx context.Context, b *badBench[TTx]) error {
				return b.ResumeTrigger(ctx, "parcel", "nightly", c.params)
			}, c.want},
			badInput[TTx]{"fire tx/" + c.name, joined(func(ctx context.Context, b *badBench[TTx], tx TTx) error {
				_, err := b.FireTriggerTx(ctx, tx, "parcel", "nightly", c.params)
				return err
			}), c.want},
			badInput[TTx]{"pause tx/" + c.name, joined(func(ctx context.Context, b *badBench[TTx], tx TTx) error {
				return b.PauseTriggerTx(ctx, tx, "parcel", "nightly", c.params)
			}), c.want},
			badInput[TTx]{"resume tx/" + c.name, joined(func(ctx context.Context, b *badBench[TTx], tx TTx) error {
				return b.ResumeTriggerTx(ctx, tx, "parcel", "nightly", c.params)
			}), c.want},
		)
	}
	for _, c := range []struct {
		name   string
		params squidmesh.ListTriggersParams
		want   refusal
	}{
		{"next below", squidmesh.ListTriggersParams{Next: -1}, refusal{field: "Next", code: "out_of_range"}},
		{"next above", squidmesh.ListTriggersParams{Next: 101}, refusal{field: "Next", code: "out_of_range"}},
		{"fires", squidmesh.ListTriggersParams{Fires: 101}, refusal{field: "Fires", code: "out_of_range"}},
		{"workflow", squidmesh.ListTriggersParams{Workflow: "\xff"}, refusal{field: "Workflow", code: "bad_name"}},
	} {
		rows = append(rows, badInput[TTx]{"list triggers/" + c.name, func(ctx context.Context, b *badBench[TTx]) error {
			_, err := b.ListTriggers(ctx, c.params)
			return err
		}, c.want})
	}
	return rows
}

// badDeliveries are made by hand. They are parsed if they are text, and performed: the answer is to drop them.
func badDeliveries[TTx any]() []badInput[TTx] {
	var rows []badInput[TTx]
	parse := func(name, text, field, code string) {
		rows = append(rows, badInput[TTx]{"delivery/" + name, func(context.Context, *badBench[TTx]) error {
			_, err := driver.ParseDelivery([]byte(text))
			return err
		}, refusal{field: field, code: code}})
	}
	id := uuid.NewString()
	parse("empty", ``, "delivery", "invalid_json")
	parse("object without anything", `{}`, "delivery.v", "missing_field")
	parse("future", `{"v":99,"kind":"step","run_id":"x"}`, "delivery.v", "unknown_version")
	parse("unknown field", `{"v":1,"kind":"step","secret":1}`, "delivery.secret", "unknown_field")
	parse("another case", `{"V":1,"kind":"step"}`, "delivery.V", "unknown_field")
	parse("twice", `{"v":1,"v":1,"kind":"step"}`, "delivery.v", "duplicate_key")
	parse("two", `{"v":1,"kind":"step"}{}`, "delivery", "trailing_data")
	parse("scope", `{"v":1,"kind":"step","scope":"a\u0000"}`, "delivery.scope", "nul_character")
	parse("long scope", `{"v":1,"kind":"step","scope":"`+strings.Repeat("x", 201)+`"}`, "delivery.scope", "too_long")
	parse("wrong type", `{"v":1,"kind":"step","attempt":"one"}`, "delivery.attempt", "wrong_type")
	parse("kind", `{"v":1,"kind":"steps"}`, "delivery.kind", "unknown_kind")
	parse("above 4 KiB", `{"v":1,"kind":"`+strings.Repeat("x", 4096)+`"}`, "delivery", "too_long")
	parse("id", `{"v":1,"kind":"step","run_id":"x","step":"a","attempt":1}`, "delivery.run_id", "invalid_id")
	parse("step", `{"v":1,"kind":"step","run_id":"`+id+`","step":"A","attempt":1}`, "delivery.step", "bad_name")
	parse("attempt", `{"v":1,"kind":"step","run_id":"`+id+`","step":"a"}`, "delivery.attempt", "out_of_range")
	parse("half an undo", `{"v":1,"kind":"compensation","run_id":"`+id+`","step":"a"}`, "delivery.attempt", "out_of_range")
	parse("cron without trigger", `{"v":1,"kind":"cron","workflow":"parcel"}`, "delivery.trigger", "bad_name")
	parse("signal", `{"v":1,"kind":"cron","workflow":"parcel","trigger":"nightly","signal_id":"a\nb"}`, "delivery.signal_id", "invalid_text")

	perform := func(name, reason string, d driver.Delivery) {
		d.Version = 1
		rows = append(rows, badInput[TTx]{"perform/" + name, func(ctx context.Context, b *badBench[TTx]) error {
			outcome, err := b.Perform(ctx, d)
			if err != nil {
				return err
			}
			require.Equal(b.t, flow.OutcomeDrop, outcome.Kind)
			return &squidmesh.InputError{Field: "outcome", Code: outcome.Reason, Detail: outcome.Detail}
		}, refusal{field: "outcome", code: reason}})
	}
	perform("nothing", flow.DeliveryBad, driver.Delivery{})
	perform("unknown run", flow.DeliveryUnknownRun, driver.Delivery{Kind: driver.DeliverStep, RunID: id, Step: "review", Attempt: 1})
	perform("NUL in a step", flow.DeliveryBad, driver.Delivery{Kind: driver.DeliverStep, RunID: id, Step: "a\x00", Attempt: 1})
	perform("trigger by hand", flow.DeliveryRefused, driver.Delivery{Kind: driver.DeliverCron, Workflow: "parcel", Trigger: "by_hand"})
	perform("signal with NUL", flow.DeliveryBad, driver.Delivery{
		Kind: driver.DeliverCron, Workflow: "parcel", Trigger: "nightly", SignalID: "\x00",
	})
	perform("window backwards", flow.DeliveryBad, driver.Delivery{
		Kind: driver.DeliverCron, Workflow: "parcel", Trigger: "nightly",
		IntendedWindow: &driver.Window{StartAt: time.Unix(2e9, 0), EndAt: time.Unix(1e9, 0)},
	})
	return rows
}
