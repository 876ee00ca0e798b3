package squidmeshtest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/squidmesh/squidmesh-go/internal/byhand"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// CrashEverywhere plays a test's story once undisturbed, and then once more for each moment around a commit. There the process
// dies: just before the commit, which is then rolled back, or just after it, when nobody has been told yet. Another process takes
// over once the lease has ended on the clock, and the story goes on. In the end everything must be as in the undisturbed story: the
// number of runs, the status, failure and outputs of each, and the effects that the story returns.
//
// Each call of setup makes a new world: a kit on an empty store, whatever the steps call, and the story. The story starts runs,
// moves the clock, decides, and returns effects that must be the same, such as what a bank was asked to do. Effects are compared by
// their values. So they must not hold what differs between runs: run ids, idempotency keys, real times. The same goes for outputs,
// except that these may hold run ids; see [Kit.Unstable] for others.
//
// If the process dies before the commit of a call of the kit, the call is made again, as the program's own caller would. If it dies
// after the commit, the call is not made again. What steps keep in the memory of the test survives the process, like the world
// outside.
//
// Every difference is an error of the test that names the commit. CrashEverywhere works on every store, without build tags.
func CrashEverywhere[TTx any](t testing.TB, setup func(t testing.TB) (*Kit[TTx], func() any)) {
	t.Helper()
	var boundaries []string
	want := tell(t, setup, "undisturbed", func(boundary string, after bool) bool {
		if !after {
			boundaries = append(boundaries, boundary)
		}
		return false
	})
	if len(boundaries) == 0 {
		t.Fatalf("squidmeshtest: the story commits nothing")
	}
	for i, boundary := range boundaries {
		for _, after := range []bool{false, true} {
			where := fmt.Sprintf("crash %s commit %d (%s)", map[bool]string{false: "before", true: "after"}[after], i+1, boundary)
			came, commits := "nothing", 0
			got := tell(t, setup, where, func(boundary string, at bool) bool {
				if at != after {
					return false
				}
				if commits++; commits == i+1 {
					came = boundary
				}
				return commits == i+1
			})
			switch {
			case came != boundary:
				t.Errorf("%s: the story is not the same each time: commit %d was %q now", where, i+1, came)
			case !assert.ObjectsAreEqual(want, got):
				t.Errorf("%s makes a difference\nundisturbed:\n%swith the crash:\n%s", where, want, got)
			}
		}
	}
}

// outcome is what a story came to.
type outcome struct {
	Runs    []runOutcome
	Effects any
}

// runOutcome is what a run came to, without anything that differs from one run to the next.
type runOutcome struct {
	Workflow string
	Status   flow.RunStatus
	Failure  string
	Outputs  map[string]string
}

func (o outcome) String() string {
	var b strings.Builder
	for i, r := range o.Runs {
		fmt.Fprintf(&b, "  run %d of %s: %s", i+1, r.Workflow, r.Status)
		if r.Failure != "" {
			fmt.Fprintf(&b, ", %s", r.Failure)
		}
		b.WriteString("\n")
		for _, step := range slices.Sorted(maps.Keys(r.Outputs)) {
			fmt.Fprintf(&b, "    %s %s\n", step, r.Outputs[step])
		}
	}
	fmt.Fprintf(&b, "  effects: %+v\n", o.Effects)
	return b.String()
}

// tell tells a story in a world of its own.
func tell[TTx any](t testing.TB, setup func(t testing.TB) (*Kit[TTx], func() any), where string,
	crashes func(boundary string, after bool) bool,
) outcome {
	t.Helper()
	told := false
	defer func() {
		if !told {
			t.Logf("squidmeshtest: the story ended early, with a %s", where)
		}
	}()
	kit, story := setup(t)
	defer kit.close()
	kit.crashes, kit.process.Crashes = crashes, crashes
	effects := story()
	kit.revive()
	o := outcome{Runs: kit.outcomes(), Effects: effects}
	told = true
	return o
}

// Unstable says that the outputs of steps differ from run to run, because they hold times or chance. [CrashEverywhere] leaves them
// out.
func (k *Kit[TTx]) Unstable(steps ...string) {
	for _, name := range steps {
		k.unstable[name] = true
	}
}

// rows are all runs, oldest first.
func (k *Kit[TTx]) rows() []flow.Run {
	k.t.Helper()
	var rows []flow.Run
	k.View(func(ctx context.Context, tx TTx) (err error) {
		rows, err = k.store.Find(ctx, tx, driver.RunQuery{})
		return err
	})
	slices.Reverse(rows)
	return rows
}

// outcomes are what all runs came to, by workflow and start.
func (k *Kit[TTx]) outcomes() []runOutcome {
	k.t.Helper()
	rows := k.rows()
	slices.SortStableFunc(rows, func(a, b flow.Run) int { return strings.Compare(a.Workflow, b.Workflow) })
	var names []string
	for i, row := range rows {
		names = append(names, row.ID.String(), fmt.Sprintf("run %d", i+1))
	}
	anonymous := strings.NewReplacer(names...)
	outcomes := make([]runOutcome, len(rows))
	for i, row := range rows {
		o := runOutcome{Workflow: row.Workflow, Status: row.Status, Outputs: map[string]string{}}
		if e := row.Reason; e != nil {
			o.Failure = anonymous.Replace(fmt.Sprintf("%s of %s: %s", e.Code, byhand.PrintKey(flow.StepKey{Name: e.Step, Phase: e.Phase}), e.Message))
		}
		for _, st := range k.Find(row.ID).Inspect().Steps {
			if st.Output != nil && !k.unstable[st.Name] {
				o.Outputs[st.Name] = anonymous.Replace(string(timeless(st)))
			}
		}
		outcomes[i] = o
	}
	return outcomes
}

// timeless is a step's output, but for the time that the runtime itself puts into the one of an approval.
func timeless(st squidmesh.StepInspection) json.RawMessage {
	if st.Kind != flow.KindApproval {
		return byhand.Sorted(st.Output)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(st.Output, &fields); err != nil {
		return st.Output
	}
	delete(fields, "decided_at")
	output, err := json.Marshal(fields)
	if err != nil {
		return st.Output
	}
	return output
}
