package squidmesh_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/memstore"
	"github.com/squidmesh/squidmesh-go/squidmesh/squidmeshtest"
)

// The places where what a FuncTx body did is written, or where the body itself writes through the runtime.
const (
	atStart     = "InsertRun, of a start by the body"
	atRelease   = "release of the body's savepoint"
	atLock      = "Lock"
	atLoad      = "Load"
	atApply     = "Apply"
	atEnqueue   = "savepoint of the enqueue"
	atExecutor  = "executor, which breaks the transaction"
	atRefusal   = "executor, which refuses"
	atCommit    = "commit"
	atUnknown   = "commit without an answer, which did not take effect"
	atUnheardOf = "commit without an answer, which took effect"
)

var (
	errForGood = errors.New("the database refuses it")
	errPasses  = errors.New("the database gave it up")
)

// faultyStore is a store that fails at one place of those transactions in which a body ran.
type faultyStore struct {
	driver.Store[*memstore.Tx]
	place string
	err   error
	times int // how often it is to fail

	lent bool // a body has run in the transaction
	hits int
}

// at is the error of a place.
func (s *faultyStore) at(place string) error {
	if !s.lent || s.place != place || s.hits == s.times {
		return nil
	}
	s.hits++
	return s.err
}

func (s *faultyStore) InTx(ctx context.Context, fn func(context.Context, *memstore.Tx) error) error {
	var unknown error
	err := s.Store.InTx(ctx, func(ctx context.Context, tx *memstore.Tx) error {
		s.lent = false
		defer func() { s.lent = false }()
		if err := fn(ctx, tx); err != nil {
			return err
		}
		if s.at(atUnknown) != nil {
			return squidmesh.ErrCommitUnknown
		}
		if s.at(atUnheardOf) != nil {
			unknown = squidmesh.ErrCommitUnknown
		}
		return s.at(atCommit)
	})
	return errors.Join(err, unknown)
}

func (s *faultyStore) Nested(ctx context.Context, tx *memstore.Tx, fn func(context.Context, *memstore.Tx) error) error {
	if s.lent { // by the body's own savepoint before
		if err := s.at(atEnqueue); err != nil {
			return fmt.Errorf("%w: %w", squidmesh.ErrTxUnusable, err)
		}
		if s.at(atExecutor) != nil {
			return fmt.Errorf("%w: %w", squidmesh.ErrTxUnusable, squidmesh.ErrDispatch)
		}
		if s.at(atRefusal) != nil {
			return squidmesh.ErrDispatch
		}
		return s.Store.Nested(ctx, tx, fn)
	}
	return s.Store.Nested(ctx, tx, func(ctx context.Context, tx *memstore.Tx) error {
		if err := fn(ctx, tx); err != nil {
			return err
		}
		return s.at(atRelease)
	})
}

func (s *faultyStore) Lock(ctx context.Context, tx *memstore.Tx, q driver.LockQuery) (driver.Locked, error) {
	if err := s.at(atLock); err != nil {
		return driver.Locked{}, err
	}
	locked, err := s.Store.Lock(ctx, tx, q)
	if s.lent && s.place == atLoad {
		for id, run := range locked.Runs {
			run.LastAt = run.LastAt.Add(-time.Microsecond) // so that it is not the run which the runtime remembers
			locked.Runs[id] = run
		}
	}
	return locked, err
}

func (s *faultyStore) Load(ctx context.Context, tx *memstore.Tx, reads map[squidmesh.RunID]flow.Reads) (map[squidmesh.RunID]driver.Loaded, error) {
	if err := s.at(atLoad); err != nil {
		return nil, err
	}
	return s.Store.Load(ctx, tx, reads)
}

func (s *faultyStore) InsertRun(ctx context.Context, tx *memstore.Tx, run squidmesh.Run) (*squidmesh.Run, error) {
	if err := s.at(atStart); err != nil {
		return nil, err
	}
	return s.Store.InsertRun(ctx, tx, run)
}

func (s *faultyStore) Apply(ctx context.Context, tx *memstore.Tx, ts []flow.Transition) error {
	if err := s.at(atApply); err != nil {
		return err
	}
	return s.Store.Apply(ctx, tx, ts)
}

func (s *faultyStore) Traits() driver.StoreTraits {
	traits := s.Store.Traits()
	traits.Transient = func(err error) bool { return errors.Is(err, errPasses) }
	return traits
}

// Wherever the runtime's write of a FuncTx step's end fails, in do and in undo, the body runs as often as the package doc says and no
// more: what is refused for good is counted by Retry, what may pass is given back twenty times, ever later, and what the executor broke
// is not asked of it again.
func TestFuncTx_IsRepeatedWithinBoundsWhereverItsWriteFails(t *testing.T) {
	t.Parallel()
	const (
		attempts = 3             // by Retry
		again    = 6             // runs of a body within an attempt
		given    = 19 + attempts // from the twentieth on what is given back is a failure
		ever     = 1 << 30
	)
	// ends is how often the body runs and the code of its last failure, none for a step that completes.
	type ends struct {
		bodies int
		code   string
	}
	passed := ends{5, ""}
	refused := ends{attempts, flow.CodeNotRecorded}
	failed := ends{attempts, flow.CodeError}
	handedBack := ends{given, flow.CodeGivenBack}
	for place, want := range map[string]struct{ forGood, passes, later ends }{
		atStart:     {failed, ends{again * attempts, flow.CodeError}, passed},
		atRelease:   {failed, ends{again * attempts, flow.CodeError}, passed},
		atLock:      {refused, handedBack, passed},
		atLoad:      {refused, handedBack, passed},
		atApply:     {refused, handedBack, passed},
		atEnqueue:   {refused, handedBack, passed},
		atExecutor:  {ends{2, ""}, ends{2, ""}, ends{2, ""}},
		atRefusal:   {ends{1, ""}, ends{1, ""}, ends{1, ""}},
		atCommit:    {failed, handedBack, passed},
		atUnknown:   {handedBack, handedBack, passed},
		atUnheardOf: {ends{1, ""}, ends{1, ""}, ends{1, ""}},
	} {
		for kind, fault := range map[string]struct {
			err   error
			times int
			ends  ends
		}{
			"for good":   {errForGood, ever, want.forGood},
			"for a time": {errPasses, ever, want.passes},
			"four times": {errPasses, 4, want.later},
		} {
			for _, phase := range []flow.Phase{flow.PhaseDo, flow.PhaseUndo} {
				t.Run(fmt.Sprintf("%s/%s/%s", place, kind, phase), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						store := &faultyStore{place: place, err: fault.err, times: fault.times}
						code, at := playFaulty(t, store, phase, attempts)
						require.Positive(t, store.hits, "the runtime does not come by this place")
						require.Equal(t, fault.ends.bodies, len(at))
						require.Equal(t, fault.ends.code, code)
						took := at[len(at)-1].Sub(at[0])
						if fault.ends != handedBack {
							require.Less(t, took, time.Minute)
							return
						}
						require.Greater(t, took, 45*time.Minute)
						require.Less(t, took, 2*time.Hour)
						for i := range 18 {
							require.GreaterOrEqual(t, at[i+2].Sub(at[i+1]), at[i+1].Sub(at[i]), "pause %d", i+1)
						}
					})
				})
			}
		}
	}
}

// playFaulty runs a workflow on the store and tells with which code its FuncTx step failed, none if it completed, and when its body ran.
func playFaulty(t *testing.T, store *faultyStore, phase flow.Phase, attempts int) (code string, at []time.Time) {
	type tx = *memstore.Tx
	var kit *squidmeshtest.Kit[tx]
	body := squidmesh.EffectTx(func(ctx context.Context, tx tx, _ nothing) error {
		at = append(at, kit.Now())
		store.lent = true
		if store.place != atStart {
			return nil
		}
		_, err := kit.Runtime().StartRunTx(ctx, tx, squidmesh.StartParams{Workflow: "other", Key: "once"})
		return err
	})
	fine := squidmesh.Effect(func(context.Context, nothing) error { return nil })
	manual := []squidmesh.Trigger{squidmesh.Manual("go", squidmesh.Payload[nothing]())}
	w := squidmesh.Workflow{Name: "writes", Triggers: manual, Steps: []squidmesh.Step{
		{Name: "first", Do: fine, Next: "act"},
		{Name: "act", Do: body, Retry: squidmesh.Constant(attempts, 0), Next: "last"},
		{Name: "last", Do: fine},
	}}
	if phase == flow.PhaseUndo {
		w.Steps[0].Undo = fine // whose job the end of the other undo brings
		w.Steps[1].Do, w.Steps[1].Undo = fine, body
		w.Steps[2].Do = squidmesh.Effect(func(context.Context, nothing) error { return squidmesh.Fail(errors.New("no")) })
	}
	other := squidmesh.Workflow{Name: "other", Triggers: manual, Steps: []squidmesh.Step{{Name: "hold", Do: squidmesh.Pause()}}}
	kit = squidmeshtest.NewOn(t, squidmeshtest.Options[tx]{
		Config: squidmesh.Config[tx]{Workflows: []squidmesh.Workflow{w, other}, DisableContinuation: true},
		Open: func(clock func(time.Time) time.Time) driver.Store[tx] {
			store.Store = memstore.New(&memstore.Options{Clock: clock})
			return store
		},
	})
	run := kit.Start("writes", nil)
	kit.RunUntilIdle()
	in, err := kit.Runtime().InspectRun(t.Context(), run.ID, &squidmesh.InspectOptions{History: true})
	require.NoError(t, err)
	row := in.Steps[1].Do
	if phase == flow.PhaseUndo {
		row = in.Steps[1].Undo
	}
	if row.Status == flow.StepCompleted {
		return "", at
	}
	require.Contains(t, []flow.StepStatus{flow.StepFailed, flow.StepPaused}, row.Status)
	for _, a := range in.Attempts {
		if a.Name == "act" && a.Phase == phase && a.Error != nil {
			code = a.Error.Code
		}
	}
	return code, at
}
