package squidmesh

import (
	"fmt"
	"log/slog"
	"math"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// Each limit of a definition is tried just below, at and just above.
func TestCompile_Limits(t *testing.T) {
	t.Parallel()
	text := func(n int) string { return strings.Repeat("a", n) }
	graph := func(n int) Workflow {
		b := block("all")
		for i := range n - 1 { // besides the block
			b.Parallel = append(b.Parallel, step(fmt.Sprintf("s%d", i)))
		}
		return of(b)
	}
	for name, c := range map[string]struct {
		limit    int
		workflow func(n int) Workflow
		problem  string
	}{
		"steps": {1000, graph, "too_many_steps @ Steps"},
		"triggers": {100, func(n int) Workflow {
			var triggers []Trigger
			for i := range n {
				triggers = append(triggers, Manual(fmt.Sprintf("t%d", i), Contract{}))
			}
			return on(triggers...)
		}, "too_many_triggers @ Triggers"},
		"routes": {100, func(n int) Workflow {
			var pairs []string
			for i := range n {
				pairs = append(pairs, fmt.Sprint(i), Complete)
			}
			return of(step("a", do(Choose(chooses[none]())), routes(pairs...)))
		}, `too_many_routes @ step "a": Routes`},
		"workflow name": {63, func(n int) Workflow { w := of(step("a")); w.Name = text(n); return w }, "bad_name @ Name"},
		"step name":     {63, func(n int) Workflow { return of(step(text(n))) }, `bad_name @ step "` + text(64) + `"`},
		"trigger name":  {63, func(n int) Workflow { return on(Manual(text(n), Contract{})) }, `bad_name @ trigger "` + text(64) + `"`},
		"queue name":    {64, func(n int) Workflow { return of(step("a", func(st *Step) { st.Queue = text(n) })) }, `bad_queue @ step "a": Queue`},
		"route":         {100, func(n int) Workflow { return of(step("a", do(Choose(chooses[none]())), routes(text(n), Complete))) }, `bad_route @ step "a": Routes`},
		"output":        {100, func(n int) Workflow { return of(step("a", do(Func(returns[none, int]())), output(text(n)))) }, `bad_key @ step "a": Output`},
		"description":   {4096, func(n int) Workflow { w := of(step("a")); w.Description = text(n); return w }, "bad_description @ Description"},
		"step's description": {4096, func(n int) Workflow {
			return of(step("a", func(st *Step) { st.Description = text(n) }))
		}, `bad_description @ step "a": Description`},
		"message":        {4096, func(n int) Workflow { return of(step("a", do(Log(slog.LevelInfo, text(n))))) }, `bad_message @ step "a": Do`},
		"wait":           {int(flow.MaxWait), func(n int) Workflow { return of(step("a", do(Wait(time.Duration(n))))) }, `bad_wait @ step "a": Do`},
		"timeout":        {int(23 * time.Hour), func(n int) Workflow { return of(step("a", timeout(time.Duration(n)))) }, `bad_timeout @ step "a": Timeout`},
		"open decision":  {int(10 * 365 * 24 * time.Hour), func(n int) Workflow { return of(step("a", do(Pause()), timeout(time.Duration(n)))) }, `bad_timeout @ step "a": Timeout`},
		"attempts":       {1000, func(n int) Workflow { return of(retried(Retry{MaxAttempts: n})) }, `bad_retry @ step "a": Retry`},
		"delay":          {int(flow.MaxWait), func(n int) Workflow { return of(retried(Retry{MaxAttempts: 2, Base: time.Duration(n)})) }, `bad_retry @ step "a": Retry`},
		"greatest delay": {int(flow.MaxWait), func(n int) Workflow { return of(retried(Retry{MaxAttempts: 2, Max: time.Duration(n)})) }, `bad_retry @ step "a": Retry`},
		"losses":         {5, func(n int) Workflow { return of(step("a", func(st *Step) { st.MaxLosses = n })) }, `bad_losses @ step "a": MaxLosses`},
		"priority":       {4, func(n int) Workflow { return of(step("a", func(st *Step) { st.Priority = n })) }, `bad_priority @ step "a": Priority`},
		"windows to catch up": {1000, func(n int) Workflow {
			return on(Trigger{Name: "c", Cron: "@daily", Missed: MissedCatchUp, CatchUp: n})
		}, `out_of_range @ trigger "c": CatchUp`},
		"cron expression": {255, func(n int) Workflow {
			return on(Cron("c", "0 0 1 1"+strings.Repeat(" ", n-len("0 0 1 1*"))+"*", "", Contract{}))
		}, `bad_cron @ trigger "c": Cron`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Empty(t, problemsOf(t, c.workflow(c.limit-1)))
			require.Empty(t, problemsOf(t, c.workflow(c.limit)))
			require.Equal(t, []string{c.problem}, problemsOf(t, c.workflow(c.limit+1)))
		})
	}
}

// What nobody means, and what somebody might: names and numbers from a hostile hand.
func TestCompile_RefusesHostileInput(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"", "a\x00", strings.Repeat("a", 101), " a", "a ", "../x", "a\u202e", "A", "漢", "a-b", "a.b", "1a", "_a", "\xff",
		strings.Repeat("\x00", 1<<20),
	} {
		w := of(step(name))
		w.Name, w.Triggers = name, []Trigger{Manual(name, Contract{})}
		var codes []string
		for _, problem := range problemsOf(t, w) {
			code, _, _ := strings.Cut(problem, " @ ")
			codes = append(codes, code)
		}
		require.Equal(t, []string{"bad_name", "bad_name", "bad_name"}, codes, "of workflow, trigger and step")
		_, err := Compile(w)
		require.NotContains(t, err.Error(), "\x00")
		require.LessOrEqual(t, len(err.Error()), 1000, "an error repeats little of what was given")
	}
	for name, r := range map[string]Retry{
		"a billion attempts": {MaxAttempts: 1e9},
		"300 years":          {MaxAttempts: 2, Base: math.MaxInt64},
		"infinite jitter":    {MaxAttempts: 2, Jitter: math.Inf(1)},
		"jitter below":       {MaxAttempts: 2, Jitter: -0.1},
		"jitter of 2":        {MaxAttempts: 2, Jitter: 2},
	} {
		require.Equal(t, []string{`bad_retry @ step "a": Retry`}, problemsOf(t, of(retried(r))), name)
	}
	require.Equal(t, []string{"bad_description @ Description"}, problemsOf(t, func() Workflow { w := of(step("a")); w.Description = "a\x00"; return w }()))
	require.Equal(t, []string{`bad_message @ step "a": Do`}, problemsOf(t, of(step("a", do(Log(slog.LevelInfo, "\xff"))))))
	require.Equal(t, []string{`bad_default @ trigger "s": Defaults`}, problemsOf(t, on(Manual("s", Payload[order](Defaults{"total": panics{}})))))
	require.Empty(t, problemsOf(t, of(step("a", onError("b"), next("c")), step("b"), step("c"))), "two ends are fine")
}

type panics struct{}

func (panics) MarshalJSON() ([]byte, error) { panic("not me") }

// Each code that errors.md lists for definitions is expected by some test of Compile.
func TestCompile_EachCodeHasATest(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/errors.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(page), "## Problems of definitions")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n## ")
	var tests strings.Builder
	for _, file := range []string{"compile_rules_test.go", "compile_dataflow_test.go", "compile_limits_test.go"} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		tests.Write(text)
	}
	codes := regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(section, -1)
	require.Greater(t, len(codes), 50)
	for _, code := range codes {
		require.Contains(t, tests.String(), code[1]+" @ ", "no test expects it")
	}
}
