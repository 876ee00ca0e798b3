package squidmesh

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// However much goes on at once, the sentence is about one step; the evidence holds all that is open, in the order of the definition.
func TestExplain_EvidenceIsWhatIsOpen(t *testing.T) {
	t.Parallel()
	after := func(name string, names ...string) Step {
		st := doing(name, "")
		st.After = names
		return st
	}
	retried := doing("retried", "")
	retried.Retry = Constant(2, time.Minute)
	tl := newTale(t, retried, Step{Name: "nap", Do: Wait(time.Hour)}, doing("busy", ""), doing("quick", ""), after("end", "nap", "quick"))
	tl.fail("retried")
	tl.claim(7, "busy")
	tl.succeed("quick")

	ex := Explain(tl.spec, tl.snap, tl.now)
	require.Equal(t, ReasonRunning, ex.Code)
	require.Equal(t, "busy", ex.Step)
	require.Equal(t, []StepState{tl.row("retried"), tl.row("nap"), tl.row("busy")}, ex.Evidence, "end waits for others, and is not open")
	tl.decide(Succeeded{Attempted: tl.by(7, "busy")})
	require.Equal(t, "nap", Explain(tl.spec, tl.snap, tl.now).Step, "a timer says more than a retry")
}
