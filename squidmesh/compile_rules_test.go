package squidmesh

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

type none struct{}

// problemsOf compiles a workflow and lists what is wrong as "code @ place".
func problemsOf(t *testing.T, w Workflow) []string {
	t.Helper()
	spec, err := Compile(w)
	if err == nil {
		require.NotNil(t, spec)
		return nil
	}
	require.Nil(t, spec)
	var definition *DefinitionError
	require.True(t, errors.As(err, &definition))
	var got []string
	for _, p := range definition.Problems {
		require.NotEmpty(t, p.Detail)
		got = append(got, p.Code+" @ "+p.Place)
	}
	return got
}

// detailOf is the text of the only problem of a workflow.
func detailOf(t *testing.T, w Workflow) string {
	t.Helper()
	_, err := Compile(w)
	var definition *DefinitionError
	require.True(t, errors.As(err, &definition))
	require.Len(t, definition.Problems, 1, err.Error())
	return definition.Problems[0].Detail
}

// of makes a workflow of steps with a payload of type order.
func of(steps ...Step) Workflow {
	return Workflow{Name: "w", Triggers: []Trigger{Manual("start", Payload[order]())}, Steps: steps}
}

// on makes a workflow of one step with triggers.
func on(triggers ...Trigger) Workflow {
	return Workflow{Name: "w", Triggers: triggers, Steps: []Step{step("a")}}
}

// step is an effect that reads nothing, changed as wanted.
func step(name string, change ...func(*Step)) Step {
	st := Step{Name: name, Do: Effect(does[none]())}
	for _, f := range change {
		f(&st)
	}
	return st
}

func next(name string) func(*Step) { return func(st *Step) { st.Next = name } }

func onError(name string) func(*Step) { return func(st *Step) { st.OnError = name } }

func timeout(d time.Duration) func(*Step) { return func(st *Step) { st.Timeout = d } }

func after(names ...string) func(*Step) {
	return func(st *Step) { st.After = names }
}

func do(a Action) func(*Step) { return func(st *Step) { st.Do = a } }

func block(name string, children ...Step) Step { return Step{Name: name, Parallel: children} }

func TestCompile_ReportsEachRule(t *testing.T) {
	t.Parallel()
	undo := Effect(does[none]())
	long := strings.Repeat("a", 64)

	for name, tc := range map[string]struct {
		workflow Workflow
		want     []string
	}{
		"empty": {Workflow{}, []string{"bad_name @ Name", "no_trigger @ Triggers", "no_step @ Steps"}},
		"workflow name": {
			Workflow{Name: "Check-out", Triggers: []Trigger{Manual("s", Contract{})}, Steps: []Step{step("a")}},
			[]string{"bad_name @ Name"},
		},
		"step name":          {of(step("A")), []string{`bad_name @ step "A"`}},
		"step name too long": {of(step(long)), []string{`bad_name @ step "` + long + `"`}},
		"step without name":  {of(step("")), []string{"bad_name @ step number 1"}},
		"reserved name":      {of(step("complete")), []string{`reserved_name @ step "complete"`}},
		"duplicate step":     {of(step("a"), step("a")), []string{`duplicate_name @ step "a"`}},
		"duplicate child":    {of(block("a", step("b"), step("b"))), []string{`duplicate_name @ step "b"`}},
		"child as its block": {of(block("a", step("a"))), []string{`duplicate_name @ step "a"`}},
		"step named graph":   {of(step("graph"), step("b", after("graph"))), []string{`duplicate_name @ step "graph"`}},
		"trigger name":       {on(Manual("A", Contract{})), []string{`bad_name @ trigger "A"`}},
		"duplicate trigger":  {on(Manual("s", Contract{}), Manual("s", Contract{})), []string{`duplicate_name @ trigger "s"`}},

		"no action":      {of(Step{Name: "a"}), []string{`no_action @ step "a"`}},
		"two actions":    {of(Step{Name: "a", Do: undo, Parallel: []Step{step("b")}}), []string{`two_actions @ step "a"`}},
		"nil function":   {of(step("a", do(Effect[none](nil)))), []string{`nil_function @ step "a": Do`}},
		"nil undo":       {of(step("a", func(st *Step) { st.Undo = Func[none, none](nil) })), []string{`nil_function @ step "a": Undo`}},
		"empty block":    {of(Step{Name: "a", Parallel: []Step{}}), []string{`empty_block @ step "a": Parallel`}},
		"nested block":   {of(block("a", block("b", step("c")))), []string{`nested_block @ step "b": Parallel`}},
		"wait":           {of(step("a", do(Wait(0)))), []string{`bad_wait @ step "a": Do`}},
		"log":            {of(step("a", do(Log(slog.LevelInfo, "")))), []string{`bad_message @ step "a": Do`}},
		"undo by choice": {of(step("a", func(st *Step) { st.Undo = Choose(chooses[none]()) })), []string{`bad_undo @ step "a": Undo`}},

		"unknown next":         {of(step("a", next("zzz"))), []string{`unknown_target @ step "a": Next`}},
		"unknown error target": {of(step("a", onError("zzz"))), []string{`unknown_target @ step "a": OnError`}},
		"unknown route": {
			of(step("a", do(Choose(chooses[none]())), routes("x", "zzz", "y", ""))),
			[]string{`unknown_target @ step "a": Routes`, `unknown_target @ step "a": Routes`},
		},
		"bad route":        {of(step("a", do(Choose(chooses[none]())), routes("", "complete"))), []string{`bad_route @ step "a": Routes`}},
		"no routes":        {of(step("a", do(Choose(chooses[none]())))), []string{`no_routes @ step "a": Routes`}},
		"routes of a step": {of(step("a", routes("x", "complete"))), []string{`not_applicable @ step "a": Routes`}},
		"next of a choice": {
			of(step("a", do(Choose(chooses[none]())), routes("x", "complete"), next("complete"))),
			[]string{`not_applicable @ step "a": Next`},
		},
		"target in a block": {of(step("a", next("c")), block("b", step("c"))), []string{`target_in_block @ step "a": Next`}},
		"next to itself":    {of(step("a", next("a"))), []string{`leads_to_itself @ step "a": Next`}},
		"error to itself":   {of(step("a", onError("a"))), []string{`leads_to_itself @ step "a": OnError`}},
		"cycle":             {of(step("a", next("b")), step("b", next("c")), step("c", next("a"))), []string{`cycle @ step "c": Next`}},
		"cycle by error":    {of(step("a", next("b")), step("b", onError("a"))), []string{`cycle @ step "b": OnError`}},
		"unreachable": {
			of(step("a"), step("b", next("c")), step("c")),
			[]string{`unreachable @ step "b"`, `unreachable @ step "c"`},
		},
		"unreachable cycle": {of(step("a"), step("b", next("c")), step("c", next("b"))), []string{`cycle @ step "c": Next`}},

		"recovery without route": {
			of(step("a", func(st *Step) { st.Recovery = RecoveryUndo })),
			[]string{`recovery_without_route @ step "a": Recovery`},
		},
		"unknown recovery": {
			of(step("a", onError("complete"), func(st *Step) { st.Recovery = "x" })),
			[]string{`bad_recovery @ step "a": Recovery`},
		},
		"approval without rejection": {of(step("a", do(Approval()))), []string{`no_error_route @ step "a": OnError`}},
		"pause that never fails":     {of(step("a", do(Pause()), onError("complete"))), []string{`no_deadline @ step "a": OnError`}},
		"pause with a deadline":      {of(step("a", do(Pause()), onError("complete"), timeout(720*time.Hour))), nil},
		"approval with a deadline":   {of(step("a", do(Approval()), onError("complete"), timeout(720*time.Hour))), nil},
		"decision open for a century": {
			of(step("a", do(Pause()), timeout(100*365*24*time.Hour))), []string{`bad_timeout @ step "a": Timeout`},
		},

		"after on the spine": {
			of(step("a", next("b")), step("b", after("a"))),
			[]string{`not_applicable @ step "b": After`},
		},
		"after unknown":       {of(step("a"), step("b", after("zzz"))), []string{`unknown_target @ step "b": After`}},
		"after itself":        {of(step("a"), step("b", after("b"))), []string{`leads_to_itself @ step "b": After`}},
		"after twice":         {of(step("a"), step("b", after("a", "a"))), []string{`duplicate_name @ step "b": After`}},
		"after a stranger":    {of(step("a", next("b")), block("b", step("c", after("a")))), []string{`not_a_sibling @ step "c": After`}},
		"after in a cycle":    {of(step("a", after("b")), step("b", after("c")), step("c", after("a"))), []string{`cycle @ step "c": After`}},
		"pause in a graph":    {of(step("a"), step("b", do(Pause()), after("a"))), []string{`decision_in_block @ step "b": Do`}},
		"approval in a block": {of(block("a", step("b", do(Approval())))), []string{`decision_in_block @ step "b": Do`}},
		"choice in a block":   {of(block("a", step("b", do(Choose(chooses[none]()))))), []string{`decision_in_block @ step "b": Do`}},
		"child with routes": {
			of(block("a", step("b", next("complete"), onError("complete"), func(st *Step) { st.Recovery = RecoveryUndo }))),
			[]string{`not_applicable @ step "b": Next`, `not_applicable @ step "b": OnError`, `not_applicable @ step "b": Recovery`},
		},
		"options of a block": {
			of(Step{
				Name: "a", Parallel: []Step{step("b")}, Retry: Constant(1, 0), Timeout: time.Second, Undo: undo, Input: []string{"x"}, Output: "x",
				Queue: "q", Priority: 1, Irreversible: true,
			}),
			[]string{
				`not_applicable @ step "a": Input`, `not_applicable @ step "a": Output`, `not_applicable @ step "a": Retry`,
				`not_applicable @ step "a": Timeout`, `not_applicable @ step "a": Undo`, `not_applicable @ step "a": Irreversible`,
				`not_applicable @ step "a": Queue`, `not_applicable @ step "a": Priority`, `excluding_marks @ step "a": Undo`,
			},
		},
		"retry of a wait": {
			of(step("a", do(Wait(time.Second)), func(st *Step) { st.Retry, st.Timeout = Constant(2, 0), time.Second })),
			[]string{`not_applicable @ step "a": Retry`, `not_applicable @ step "a": Timeout`},
		},
		"undo of a choice": {
			of(step("a", do(Choose(chooses[none]())), routes("x", "complete"), func(st *Step) { st.Undo = undo })),
			[]string{`not_applicable @ step "a": Undo`},
		},
		"mark of a log": {
			of(step("a", do(Log(0, "x")), func(st *Step) { st.Irreversible = true })),
			[]string{`not_applicable @ step "a": Irreversible`},
		},

		"attempts": {of(retried(Retry{MaxAttempts: -1})), []string{`bad_retry @ step "a": Retry`}},
		"attempts too many": {
			of(retried(Retry{MaxAttempts: 1001})),
			[]string{`bad_retry @ step "a": Retry`},
		},
		"base in nanoseconds":    {of(retried(Exponential(5, 1, 60))), []string{`bad_retry @ step "a": Retry`}},
		"max in nanoseconds":     {of(retried(Exponential(5, 0, 60))), []string{`bad_retry @ step "a": Retry`}},
		"delay in nanoseconds":   {of(retried(Constant(5, 30))), []string{`bad_retry @ step "a": Retry`}},
		"timeout in nanoseconds": {of(step("a", func(st *Step) { st.Timeout = 30 })), []string{`bad_timeout @ step "a": Timeout`}},
		"wait in nanoseconds":    {of(step("a", do(Wait(999_999)))), []string{`bad_wait @ step "a": Do`}},
		"delay without attempts": {of(retried(Retry{Base: time.Second})), []string{`bad_retry @ step "a": Retry`}},
		"negative base":          {of(retried(Retry{MaxAttempts: 2, Base: -1})), []string{`bad_retry @ step "a": Retry`}},
		"max below base":         {of(retried(Retry{MaxAttempts: 2, Base: 2 * time.Second, Max: time.Second})), []string{`bad_retry @ step "a": Retry`}},
		"negative max":           {of(retried(Retry{MaxAttempts: 2, Max: -1})), []string{`bad_retry @ step "a": Retry`}},
		"jitter":                 {of(retried(Retry{MaxAttempts: 2, Jitter: 1.1})), []string{`bad_retry @ step "a": Retry`}},
		"jitter is no number":    {of(retried(Retry{MaxAttempts: 2, Jitter: math.NaN()})), []string{`bad_retry @ step "a": Retry`}},
		"timeout":                {of(step("a", func(st *Step) { st.Timeout = -1 })), []string{`bad_timeout @ step "a": Timeout`}},
		"timeout too long":       {of(step("a", func(st *Step) { st.Timeout = 24 * time.Hour })), []string{`bad_timeout @ step "a": Timeout`}},
		"queue":                  {of(step("a", func(st *Step) { st.Queue = "a--b" })), []string{`bad_queue @ step "a": Queue`}},
		"queue in capitals":      {of(step("a", func(st *Step) { st.Queue = "Slow" })), []string{`bad_queue @ step "a": Queue`}},
		"losses":                 {of(step("a", func(st *Step) { st.MaxLosses = -1 })), []string{`bad_losses @ step "a": MaxLosses`}},
		"priority":               {of(step("a", func(st *Step) { st.Priority = 5 })), []string{`bad_priority @ step "a": Priority`}},
		"two marks": {
			of(step("a", func(st *Step) { st.Irreversible, st.NotCompensatable = true, true })),
			[]string{`excluding_marks @ step "a": NotCompensatable`},
		},
		"undo of what cannot be undone": {
			of(step("a", func(st *Step) { st.NotCompensatable, st.Undo = true, undo })),
			[]string{`excluding_marks @ step "a": Undo`},
		},
		"policy without undo": {
			of(step("a", func(st *Step) { st.UndoTimeout = time.Second })),
			[]string{`no_undo @ step "a": Undo`},
		},

		"input is no object":  {of(step("a", do(Effect(does[string]())))), []string{`input_not_object @ step "a": Input`}},
		"undo reads a list":   {of(step("a", func(st *Step) { st.Undo = Effect(does[[]int]()) })), []string{`input_not_object @ step "a": Undo`}},
		"opaque input":        {of(step("a", do(Effect(does[map[string]any]())))), []string{`opaque_input @ step "a": Input`}},
		"input listed twice":  {of(selects("order_id", "order_id")), []string{`duplicate_key @ step "a": Input`}},
		"input with bad keys": {of(selects("", "a\x00b")), []string{`bad_key @ step "a": Input`, `bad_key @ step "a": Input`, `never_written @ step "a": Input`, `never_written @ step "a": Input`}},
		"input lists no field": {
			of(step("a", do(Effect(does[order]())), func(st *Step) { st.Input = []string{"order_id", "total", "totl"} })),
			[]string{`unknown_field @ step "a": Input`},
		},
		"input leaves out a field": {
			of(step("a", do(Effect(does[order]())), func(st *Step) { st.Input = []string{"order_id"} })),
			[]string{`unlisted_field @ step "a": Input`},
		},
		"channel in the input": {
			of(step("a", do(Effect(does[struct{ C chan int }]())))),
			[]string{`unreadable_type @ step "a": Input`, `missing_key @ step "a": Input`},
		},
		"context as input":  {of(step("a", do(Effect(does[context.Context]())))), []string{`unreadable_type @ step "a": Input`}},
		"error in the undo": {of(step("a", func(st *Step) { st.Undo = Effect(does[struct{ Err error }]()) })), []string{`unreadable_type @ step "a": Undo`, `missing_key @ step "a": Undo`}},
		"error as result":   {of(step("a", do(Func(returns[none, error]())))), []string{`unreadable_type @ step "a": Do`}},
		"error in a result": {of(step("a", do(Func(returns[none, struct{ Err error }]())))), []string{`unreadable_type @ step "a": Do`}},
		"big.Int in a map": {
			of(step("a", do(Func(returns[none, struct{ M map[string]big.Int }]())))),
			[]string{`unencodable_type @ step "a": Do`},
		},
		"function as result": {of(step("a", do(Func(returns[none, func()]())))), []string{`unencodable_type @ step "a": Do`}},
		"channel in the result": {
			of(step("a", do(Func(returns[none, struct{ C []chan int }]())))),
			[]string{`unencodable_type @ step "a": Do`},
		},
		"scalar result":             {of(step("a", do(Func(returns[none, int]())))), []string{`output_needs_name @ step "a": Output`}},
		"opaque result":             {of(step("a", do(Func(returns[none, map[string]int]())))), []string{`output_needs_name @ step "a": Output`}},
		"name without result":       {of(step("a", func(st *Step) { st.Output = "x" })), []string{`no_result @ step "a": Output`}},
		"name of a pause":           {of(step("a", do(Pause()), func(st *Step) { st.Output = "x" })), []string{`not_applicable @ step "a": Output`}},
		"output is no identifier":   {of(step("a", do(Func(returns[none, int]())), output("a b"))), []string{`bad_key @ step "a": Output`}},
		"payload is no struct":      {on(Manual("s", Payload[map[string]int]())), []string{`payload_not_struct @ trigger "s": Payload`}},
		"payload is a pointer":      {on(Manual("s", Payload[*order]())), []string{`payload_not_struct @ trigger "s": Payload`}},
		"payload marshals itself":   {on(Manual("s", Payload[time.Time]())), []string{`payload_not_struct @ trigger "s": Payload`}},
		"payload holds a channel":   {on(Manual("s", Payload[struct{ C chan int }]())), []string{`unreadable_type @ trigger "s": Payload`}},
		"payload holds an error":    {on(Manual("s", Payload[struct{ Err error }]())), []string{`unreadable_type @ trigger "s": Payload`}},
		"payload that is a context": {on(Manual("s", Payload[context.Context]())), []string{`unreadable_type @ trigger "s": Payload`}},
		"payload not read back":     {on(Manual("s", Payload[struct{ T writesText }]())), []string{`unreadable_type @ trigger "s": Payload`}},
		"payload that looks sealed": {
			on(Manual("s", Payload[struct {
				S string `json:"$sealed"`
			}]())),
			[]string{`bad_key @ trigger "s": Payload`},
		},
		"payload not written": {
			on(Manual("s", Payload[struct{ M map[string]big.Int }]())),
			[]string{`unencodable_type @ trigger "s": Payload`},
		},
		"default of no field":       {on(Manual("s", Payload[order](Defaults{"totl": 1}))), []string{`unknown_default @ trigger "s": Defaults`}},
		"default of another type":   {on(Manual("s", Payload[order](Defaults{"total": "1"}))), []string{`bad_default @ trigger "s": Defaults`}},
		"default that has no JSON":  {on(Manual("s", Payload[order](Defaults{"total": math.NaN()}))), []string{`bad_default @ trigger "s": Defaults`}},
		"dynamic default of number": {on(Manual("s", Payload[order](Defaults{"total": DefaultNow}))), []string{`bad_default @ trigger "s": Defaults`}},
		"unknown dynamic default":   {on(Manual("s", Payload[order](Defaults{"order_id": flow.DynamicDefault("$x")}))), []string{`bad_default @ trigger "s": Defaults`}},
		"today as a time":           {on(Manual("s", Payload[struct{ At time.Time }](Defaults{"At": DefaultToday}))), []string{`bad_default @ trigger "s": Defaults`}},

		"cron":                  {on(Cron("c", "* * * *", "", Contract{})), []string{`bad_cron @ trigger "c": Cron`}},
		"cron with zone":        {on(Cron("c", "CRON_TZ=UTC", "", Contract{})), []string{`bad_cron @ trigger "c": Cron`}},
		"cron with fields":      {on(Cron("c", "TZ=UTC * * * * *", "", Contract{})), []string{`bad_cron @ trigger "c": Cron`}},
		"cron that never fires": {on(Cron("c", "0 0 31 2 *", "", Contract{})), []string{`bad_cron @ trigger "c": Cron`}},
		"cron below a second":   {on(Cron("c", "@every 10ms", "", Contract{})), []string{`bad_cron @ trigger "c": Cron`}},
		"cron every nothing":    {on(Cron("c", "@every", "", Contract{})), []string{`bad_cron @ trigger "c": Cron`}},
		"cron without defaults": {
			on(Cron("c", "@daily", "", Payload[order](Defaults{"total": 1}))),
			[]string{`cron_needs_default @ trigger "c": Payload`},
		},
		"policy of a manual trigger": {on(Trigger{Name: "s", Overlap: OverlapSkip}), []string{`not_applicable @ trigger "s"`}},
		"unknown missed policy":      {on(Trigger{Name: "c", Cron: "@daily", Missed: "x"}), []string{`bad_missed @ trigger "c": Missed`}},
		"unknown overlap policy":     {on(Trigger{Name: "c", Cron: "@daily", Overlap: "x"}), []string{`bad_overlap @ trigger "c": Overlap`}},
		"catch up with nothing": {
			on(Trigger{Name: "c", Cron: "@daily", Missed: MissedCatchUp}),
			[]string{`out_of_range @ trigger "c": CatchUp`},
		},
		"catch up with too much": {
			on(Trigger{Name: "c", Cron: "@daily", Missed: MissedCatchUp, CatchUp: 1001}),
			[]string{`out_of_range @ trigger "c": CatchUp`},
		},
		"limit without catching up": {
			on(Trigger{Name: "c", Cron: "@daily", Missed: MissedSkip, CatchUp: 1}),
			[]string{`not_applicable @ trigger "c": CatchUp`},
		},
		"time zone": {on(Cron("c", "@daily", "Mars/Base", Contract{})), []string{`bad_time_zone @ trigger "c": TimeZone`}},
		"time zone of a manual trigger": {
			on(Trigger{Name: "s", TimeZone: "Local"}),
			[]string{`bad_time_zone @ trigger "s": TimeZone`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, problemsOf(t, tc.workflow))
		})
	}
}

func routes(pairs ...string) func(*Step) {
	return func(st *Step) {
		st.Routes = map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			st.Routes[pairs[i]] = pairs[i+1]
		}
	}
}

func retried(r Retry) Step { return step("a", func(st *Step) { st.Retry = r }) }

func output(name string) func(*Step) { return func(st *Step) { st.Output = name } }

func selects(keys ...string) Step {
	return step("a", do(Effect(does[map[string]any]())), func(st *Step) { st.Input = keys })
}

func TestCompile_AcceptsWhatIsRight(t *testing.T) {
	t.Parallel()
	for name, w := range map[string]Workflow{
		"one step":          of(step("a")),
		"error to the end":  of(step("a", onError("complete"))),
		"wait in a block":   of(block("a", step("b", do(Wait(time.Millisecond))), step("c", do(Log(slog.LevelDebug, "x")), after("b")))),
		"two ways to one":   of(step("a", next("c"), onError("b")), step("b", next("c")), step("c")),
		"zone for today":    on(Trigger{Name: "s", TimeZone: "Europe/Vienna", Payload: Payload[order](Defaults{"order_id": DefaultToday})}),
		"cron in a zone":    on(Cron("c", "30 6 * * 1-5", "Europe/Vienna", Payload[order](Defaults{"order_id": DefaultNow, "total": 1}))),
		"cron by interval":  on(Cron("c", "@every 90s", "", Contract{})),
		"leap day":          on(Cron("c", "0 0 29 2 *", "", Contract{})),
		"pointer to struct": of(step("a", do(Effect(does[*order]())))),
		"retry for ever":    of(retried(Retry{MaxAttempts: 1000, Base: time.Millisecond, Jitter: 1})),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Empty(t, problemsOf(t, w))
		})
	}
}

func TestCompile_SaysWhatWasMeant(t *testing.T) {
	t.Parallel()
	require.Equal(t, `there is no step "chrage", did you mean "charge"?`,
		detailOf(t, of(step("a", next("chrage")), step("charge"))))
	require.Equal(t, `there is no step "completed", did you mean "complete"?`, detailOf(t, of(step("a", onError("completed")))))
	require.Equal(t, `a run visits each step at most once: a -> b -> c -> a; start a new run instead`,
		detailOf(t, of(step("a", next("b")), step("b", next("c")), step("c", next("a")))))
	require.Equal(t, `the steps wait for one another: a -> b -> a`, detailOf(t, of(step("a", after("b")), step("b", after("a")))))
	require.Equal(t, `the payload has no field "totl", did you mean "total"?`,
		detailOf(t, on(Manual("s", Payload[order](Defaults{"totl": 1})))))
}

// A mistake must not hide others, nor make right steps look wrong.
func TestCompile_ReportsNoConsequences(t *testing.T) {
	t.Parallel()
	type reads struct {
		ReceiptID string `json:"receipt_id"`
	}
	for name, tc := range map[string]struct {
		workflow Workflow
		want     []string
	}{
		"what follows a mistyped target is reached": {
			of(step("a", next("chrage")), step("charge", next("nowhere_at_all"))),
			[]string{`unknown_target @ step "a": Next`, `unknown_target @ step "charge": Next`},
		},
		"keys behind a missing link are not missing": {
			of(step("a", do(Func(returns[none, receipt]())), next("nowhere_at_all")), step("b", do(Effect(does[reads]())))),
			[]string{`unknown_target @ step "a": Next`},
		},
		"keys of an unknown sibling are not missing": {
			of(step("a", do(Func(returns[none, receipt]()))), step("b", after("zzz"), do(Effect(does[reads]())))),
			[]string{`unknown_target @ step "b": After`},
		},
		"keys of a mistyped sibling are there": {
			of(step("alpha", do(Func(returns[none, receipt]()))), step("b", after("alhpa"), do(Effect(does[reads]())))),
			[]string{`unknown_target @ step "b": After`},
		},
		"keys that nothing writes are missing all the same": {
			of(step("a", next("b")), step("b", do(Effect(does[reads]())), next("nowhere_at_all"))),
			[]string{`unknown_target @ step "b": Next`, `missing_key @ step "b": Input`},
		},
		"keys that nothing writes are missing behind a missing link": {
			of(step("a", next("nowhere_at_all")), block("b", step("c", do(Effect(does[reads]()))))),
			[]string{`unknown_target @ step "a": Next`, `missing_key @ step "c": Input`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, problemsOf(t, tc.workflow))
		})
	}
}

// writesText is a text that cannot be read back.
type writesText string

func (t writesText) MarshalText() ([]byte, error) { return []byte(t), nil }
