package squidmesh

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

type (
	keyX      struct{ X int }
	keyXText  struct{ X string }
	keyXFloat struct{ X float64 }
	keyXSmall struct{ X int8 }
	keyY      struct{ Y string }
	keyXY     struct {
		X int
		Y string
	}
	maybeX struct {
		X int `json:",omitempty"`
	}
	pointerX struct{ X *int }
	keyTotal struct {
		Total int `json:"total"`
	}
)

// writes and reads are steps that do only that.
func writes[Out any](name string, change ...func(*Step)) Step {
	return step(name, append([]func(*Step){do(Func(returns[none, Out]()))}, change...)...)
}

func reads[In any](name string, change ...func(*Step)) Step {
	return step(name, append([]func(*Step){do(Effect(does[In]()))}, change...)...)
}

func chooser(name string, pairs ...string) Step {
	return step(name, do(Choose(chooses[none]())), routes(pairs...))
}

func undo(a Action) func(*Step) { return func(st *Step) { st.Undo = a } }

func input(keys ...string) func(*Step) { return func(st *Step) { st.Input = keys } }

func sourcesOf(s *Spec, n string) []string { st, _ := s.Step(n); return st.Sources }

func TestCompile_ProvesTheDataFlow(t *testing.T) {
	t.Parallel()
	missing := func(name string) []string { return []string{`missing_key @ step "` + name + `": Input`} }
	uncertain := func(name string) []string { return []string{`uncertain_key @ step "` + name + `": Input`} }
	mismatch := func(name string) []string { return []string{`type_mismatch @ step "` + name + `": Input`} }
	taken := func(name string) []string { return []string{`key_taken @ step "` + name + `": Output`} }

	for name, tc := range map[string]struct {
		workflow Workflow
		want     []string
	}{
		"written before":       {of(writes[keyX]("a", next("b")), reads[keyX]("b")), nil},
		"of the payload":       {of(reads[keyTotal]("a")), nil},
		"written after":        {of(reads[keyX]("a", next("b")), writes[keyX]("b")), missing("a")},
		"by itself":            {of(step("a", do(Func(returns[keyX, keyY]())))), missing("a")},
		"never":                {of(reads[keyX]("a")), missing("a")},
		"never, optional":      {of(reads[maybeX]("a")), []string{`never_written @ step "a": Input`}},
		"optional, afterwards": {of(reads[maybeX]("a", next("b")), writes[keyX]("b")), missing("a")},
		"never, selected":      {of(selects("zzz")), []string{`never_written @ step "a": Input`}},
		"selected":             {of(selects("total")), nil},
		"optional left unread": {of(step("a", do(Effect(does[struct{ X, Z *int }]())), input("X"))), []string{`never_written @ step "a": Input`}},
		"another type":         {of(writes[keyXText]("a", next("b")), reads[keyX]("b")), mismatch("b")},
		"integer as number":    {of(writes[keyX]("a", next("b")), reads[keyXFloat]("b")), mismatch("b")},
		"payload of width": {Workflow{
			Name: "w", Triggers: []Trigger{Manual("t", Payload[keyX]())}, Steps: []Step{reads[keyXSmall]("a")},
		}, mismatch("a")},
		"width in the undo":     {of(writes[keyX]("a", undo(Effect(does[keyXSmall]())))), []string{`type_mismatch @ step "a": Undo`}},
		"number as integer":     {of(writes[keyXFloat]("a", next("b")), reads[keyX]("b")), mismatch("b")},
		"pointer as value":      {of(writes[pointerX]("a", next("b")), reads[keyX]("b")), uncertain("b")},
		"pointer as optional":   {of(writes[pointerX]("a", next("b")), reads[maybeX]("b")), nil},
		"value as pointer":      {of(writes[keyX]("a", next("b")), reads[pointerX]("b")), nil},
		"pointer to the result": {of(writes[*keyX]("a", next("b")), reads[keyX]("b")), uncertain("b")},
		"pointer under a name": {
			of(writes[*keyX]("a", output("k"), next("b")), reads[struct {
				K keyX `json:"k"`
			}]("b")),
			mismatch("b"),
		},
		"selected with a type": {
			of(writes[keyY]("a", next("b")), step("b", do(Effect(does[map[string]int]())), input("Y"))),
			mismatch("b"),
		},

		"one of two ways writes": {
			of(chooser("a", "x", "b", "y", "c"), writes[keyX]("b", next("c")), reads[keyX]("c")),
			uncertain("c"),
		},
		"one of two ways writes, optional": {
			of(chooser("a", "x", "b", "y", "c"), writes[keyX]("b", next("c")), reads[maybeX]("c")),
			nil,
		},
		"both ways write": {
			of(chooser("a", "x", "b", "y", "c"), writes[keyX]("b", next("d")), writes[keyX]("c", next("d")), reads[keyX]("d")),
			nil,
		},
		"both ways write, one of another type": {
			of(chooser("a", "x", "b", "y", "c"), writes[keyX]("b", next("d")), writes[keyXText]("c", next("d")), reads[keyX]("d")),
			mismatch("d"),
		},
		"both ways write, then again": {
			of(chooser("a", "x", "b", "y", "c"), writes[keyX]("b", next("d")), writes[keyY]("c", next("d")), writes[keyX]("d")),
			taken("d"),
		},
		"failed step wrote nothing": {of(writes[keyX]("a", onError("b")), reads[keyX]("b")), missing("b")},
		"fallback writes instead": {
			of(writes[keyX]("a", next("c"), onError("b")), writes[keyX]("b", next("c")), reads[keyX]("c")),
			nil,
		},
		"fallback does not write": {
			of(writes[keyX]("a", next("c"), onError("b")), step("b", next("c")), reads[keyX]("c")),
			uncertain("c"),
		},
		"rejection has no comment": {
			of(step("a", do(Approval()), next("b"), onError("c")),
				reads[struct {
					Decision string `json:"decision"`
				}]("b", next("complete")),
				reads[struct {
					Comment string `json:"comment,omitempty"`
				}]("c")),
			missing("c"),
		},

		"siblings at once":        {of(block("p", writes[keyX]("a"), reads[keyX]("b"))), missing("b")},
		"siblings in order":       {of(block("p", writes[keyX]("a"), reads[keyX]("b", after("a")))), nil},
		"declared after":          {of(block("p", reads[keyX]("b", after("a")), writes[keyX]("a"))), nil},
		"grandparents":            {of(block("p", writes[keyX]("a"), step("b", after("a")), reads[keyX]("c", after("b")))), nil},
		"graph of a workflow":     {of(writes[keyX]("a"), writes[keyY]("b"), reads[keyXY]("c", after("a", "b"))), nil},
		"before the block":        {of(writes[keyX]("a", next("p")), block("p", reads[keyX]("b"))), nil},
		"after the block":         {of(blockTo("p", "c", "", writes[keyX]("a"), writes[keyY]("b")), reads[keyXY]("c")), nil},
		"after the failed block":  {of(blockTo("p", "", "c", writes[keyX]("a"), writes[keyY]("b")), reads[keyX]("c")), missing("c")},
		"two siblings write":      {of(block("p", writes[keyX]("a"), writes[keyX]("b"))), taken("b")},
		"ordered siblings write":  {of(block("p", writes[keyX]("a"), writes[keyX]("b", after("a")))), taken("b")},
		"child writes once more":  {of(writes[keyX]("a", next("p")), block("p", writes[keyX]("b"))), taken("b")},
		"written again":           {of(writes[keyX]("a", next("b")), writes[keyXText]("b")), taken("b")},
		"written under a name":    {of(writes[keyX]("a", next("b")), writes[keyX]("b", output("again"))), nil},
		"named as the payload":    {of(writes[keyX]("a", output("total"))), taken("a")},
		"key of the payload":      {of(writes[keyTotal]("a")), taken("a")},
		"stands in for the block": {of(blockTo("p", "c", "b", writes[keyX]("a")), writes[keyX]("b", next("c")), reads[keyX]("c")), nil},

		"undo reads own result": {of(writes[keyX]("a", undo(Effect(does[keyX]())))), nil},
		"undo reads what it cannot": {
			of(writes[keyX]("a", next("b"), undo(Effect(does[keyY]()))), writes[keyY]("b")),
			[]string{`missing_key @ step "a": Undo`},
		},
		"undo reads more than was read": {of(step("a", undo(Effect(does[order]())))), nil},
		"opaque undo":                   {of(writes[keyX]("a", undo(Effect(does[map[string]any]())))), nil},

		"one of two triggers": {
			Workflow{
				Name:     "w",
				Triggers: []Trigger{Manual("s", Payload[keyX]()), Manual("t", Payload[keyY]())},
				Steps:    []Step{reads[keyX]("a")},
			},
			uncertain("a"),
		},
		"default of a trigger": {
			Workflow{
				Name:     "w",
				Triggers: []Trigger{Manual("s", Payload[keyX]()), Manual("t", Payload[maybeX](Defaults{"X": 1}))},
				Steps:    []Step{reads[keyX]("a")},
			},
			nil,
		},
		"triggers of two types": {
			Workflow{
				Name:     "w",
				Triggers: []Trigger{Manual("s", Payload[keyX]()), Manual("t", Payload[keyXText]())},
				Steps:    []Step{reads[keyX]("a")},
			},
			mismatch("a"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, problemsOf(t, tc.workflow))
		})
	}
}

func blockTo(name, next, onError string, children ...Step) Step {
	return Step{Name: name, Next: next, OnError: onError, Parallel: children}
}

func TestCompile_ExplainsTheDataFlow(t *testing.T) {
	t.Parallel()
	require.Equal(t, `reads key "X", which nothing writes, did you mean "x"?`,
		detailOf(t, of(writes[struct {
			X int `json:"x"`
		}]("a", next("b")), reads[keyX]("b"))))
	require.Equal(t, `reads key "X", which no step before it writes; step "b" does, but not on a path to here`,
		detailOf(t, of(reads[keyX]("a", next("b")), writes[keyX]("b"))))
	require.Equal(t, `reads key "X", which may be missing here: not every path comes through step "b"`,
		detailOf(t, of(chooser("a", "x", "b", "y", "c"), writes[keyX]("b", next("c")), reads[keyX]("c"))))
	require.Equal(t, `reads key "X", which may be missing here: step "a" returns a pointer, which may be nil`,
		detailOf(t, of(writes[*keyX]("a", next("b")), reads[keyX]("b"))))
	require.Equal(t, `reads key "X", but step "a" writes it differently: X is string, read as integer`,
		detailOf(t, of(writes[keyXText]("a", next("b")), reads[keyX]("b"))))
	require.Equal(t, `the result has key "total", which is written by the payload of trigger "start": keep the result under a name with Output`,
		detailOf(t, of(writes[keyTotal]("a"))))
}

// The sources are all steps that may have written a key, the later ones last.
func TestCompile_FindsTheSources(t *testing.T) {
	t.Parallel()
	spec, err := Compile(of(
		step("start", next("p")),
		writes[keyX]("b", next("c")), // declared before the block that it stands in for
		blockTo("p", "c", "b", writes[keyX]("a")),
		reads[keyX]("c"),
	))
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, sourcesOf(spec, "c"))

	// The block failed after a had completed; b stood in for it.
	st, _ := spec.Step("c")
	input := spec.Input(st.Keys, st.Sources, nil, map[string]json.RawMessage{
		"a": json.RawMessage(`{"X":1}`), "b": json.RawMessage(`{"X":2}`),
	})
	require.JSONEq(t, `{"X":2}`, string(input))

	spec, err = Compile(of(
		writes[keyX]("a", next("b"), undo(Effect(does[keyX]()))),
		step("b", do(Func(returns[none, keyY]())), next("c"), undo(Effect(does[keyX]()))),
		reads[keyTotal]("c"),
	))
	require.NoError(t, err)
	require.Empty(t, sourcesOf(spec, "c"), "the payload is no source")
	a, _ := spec.Step("a")
	require.Equal(t, []string{"a"}, a.UndoSources)
	b, _ := spec.Step("b")
	require.Equal(t, []string{"a"}, b.UndoSources)
}

func TestCompile_ImplicitBlock(t *testing.T) {
	t.Parallel()
	spec, err := Compile(of(step("a"), step("b", after("a")), step("c", after("a"))))
	require.NoError(t, err)
	require.Equal(t, "graph", spec.Entry())
	block, _ := spec.Step("graph")
	require.Equal(t, flow.KindBlock, block.Kind)
	require.Equal(t, Complete, block.Next)
	require.Equal(t, []string{"a", "b", "c"}, block.Children)
	b, _ := spec.Step("b")
	require.Equal(t, "graph", b.Block)
	require.Empty(t, b.Next)
	c, _ := spec.Step("c")
	require.Equal(t, []string{"a"}, b.After)
	require.Contains(t, c.After, "a")
}

func TestCompile_FillsInPolicies(t *testing.T) {
	t.Parallel()
	spec, err := Compile(of(
		step("a", next("b"), undo(Effect(does[none]())), func(st *Step) {
			st.Retry, st.Timeout, st.Queue, st.Priority = Constant(3, time.Second), time.Minute, "slow", 4
		}),
		step("b", do(Wait(time.Hour)), next("c")),
		step("c", do(Log(4, "hello")), next("d")),
		step("d", undo(Effect(does[none]())), func(st *Step) { st.UndoRetry, st.UndoTimeout = Constant(9, 0), time.Hour }, next("e")),
		step("e", undo(Effect(does[none]()))),
	))
	require.NoError(t, err)
	policy := flow.Policy{Retry: Constant(3, time.Second), Timeout: time.Minute, Queue: "slow", Priority: 4}
	a, _ := spec.Step("a")
	require.Equal(t, policy, a.Policy)
	require.Equal(t, policy, a.UndoPolicy)
	b, _ := spec.Step("b")
	require.Equal(t, flow.Policy{Wait: time.Hour, Priority: 1}, b.Policy)
	require.Zero(t, b.UndoPolicy)
	c, _ := spec.Step("c")
	require.Equal(t, flow.Policy{Timeout: DefaultTimeout, Priority: 1, Level: 4, Message: "hello"}, c.Policy)
	d, _ := spec.Step("d")
	require.Equal(t, flow.Policy{Retry: Constant(9, 0), Timeout: time.Hour, Priority: 1}, d.UndoPolicy)
	e, _ := spec.Step("e")
	require.Zero(t, e.Policy.Retry)
	require.Equal(t, Exponential(5, time.Second, time.Minute), e.UndoPolicy.Retry, "an undo is tried more than once")
}
