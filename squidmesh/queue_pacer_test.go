package squidmesh

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// paceBook is what a pacer did, with the time since its test began.
type paceBook struct {
	pacer
	mu    sync.Mutex
	lines []string
}

func newPaceBook() *paceBook {
	began := time.Now()
	b := &paceBook{}
	note := func(format string, args ...any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.lines = append(b.lines, fmt.Sprintf("%s: ", time.Since(began))+fmt.Sprintf(format, args...))
	}
	b.later = func() func(queues ...string) { return func(queues ...string) { note("wake %v", queues) } }
	b.look = func(late []flow.StepState) {
		var names []string
		for _, row := range late {
			names = append(names, row.Name)
		}
		note("look after %v", names)
	}
	return b
}

// until lets time pass and returns what has been done so far.
func (b *paceBook) until(d time.Duration) []string {
	time.Sleep(d) // of the bubble's clock
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lines
}

// awaited is how many deliveries it still waits for.
func (b *paceBook) awaited() int {
	b.pacer.mu.Lock()
	defer b.pacer.mu.Unlock()
	return len(b.coming)
}

func pacedRow(name string) flow.StepState {
	return flow.StepState{Run: uuid.UUID{1}, StepKey: flow.StepKey{Name: name, Phase: flow.PhaseDo}, Attempt: 1, JobID: name, Queue: "q"}
}

func TestPacer_LooksAfterWhatNobodyClaimed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPaceBook()
		b.expect(pacedRow("lost"), 500*time.Millisecond)
		b.expect(pacedRow("claimed"), 500*time.Millisecond)
		time.AfterFunc(599*time.Millisecond, func() { b.claimed(deliveryOf(pacedRow("claimed"))) })
		require.Equal(t, []string{"500ms: wake [q]", "500ms: wake [q]", "600ms: look after [lost]"}, b.until(time.Hour), "and only once")
		require.Zero(t, b.awaited())
	})
}

// Its own claims are the rule, so that timers cost a process that works alone no statement.
func TestPacer_AsksNobodyAboutWhatItClaimed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPaceBook()
		for i := range 100 {
			row := pacedRow(fmt.Sprint(i))
			b.expect(row, time.Second)
			b.claimed(deliveryOf(row))
		}
		require.Len(t, b.until(time.Hour), 100, "wake-ups alone")
	})
}

func TestPacer_LooksAfterWhatIsLateTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPaceBook()
		looks, busy := 0, make(chan struct{})
		b.look = func(late []flow.StepState) {
			looks += len(late)
			require.LessOrEqual(t, len(late), sweepLimit)
			<-busy
		}
		for i := range 2*sweepLimit + 1 {
			b.expect(pacedRow(fmt.Sprint(i)), time.Second)
		}
		b.until(time.Minute)
		require.LessOrEqual(t, looks, sweepLimit, "one look at a time")
		close(busy)
		b.until(time.Minute)
		require.Equal(t, 2*sweepLimit+1, looks)
	})
}

func TestPacer_IsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPaceBook()
		b.expect(pacedRow("far"), pacedFor+1)
		require.Empty(t, b.until(time.Hour), "left to the queue")
		for i := range maxPaced + 10 {
			b.expect(pacedRow(fmt.Sprint(i)), time.Second)
		}
		require.Equal(t, maxPaced, b.awaited())
		require.Len(t, b.until(time.Second), maxPaced, "no more are woken for, either")
		b.until(time.Hour)
		require.Zero(t, b.awaited())
		b.expect(pacedRow("later"), time.Second)
		require.Equal(t, 1, b.awaited())
	})
}

func TestPacer_OnlyWakesForWhoCannotBeAsked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPaceBook()
		b.look = nil
		b.expect(pacedRow("any"), time.Second)
		require.Equal(t, []string{"1s: wake [q]"}, b.until(time.Hour))
	})
}

// An executor that ends the goroutine which asks it, as a test's assertion does, ends one look and no more.
func TestPacer_OutlivesAnExecutorThatExits(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		b := newPaceBook()
		look := b.look
		b.look = func(late []flow.StepState) {
			look(late)
			runtime.Goexit()
		}
		b.expect(pacedRow("a"), 0)
		b.expect(pacedRow("b"), time.Second)
		require.Equal(t, []string{"0s: wake [q]", "100ms: look after [a]", "1s: wake [q]", "1.1s: look after [b]"}, b.until(time.Minute))
	})
}
