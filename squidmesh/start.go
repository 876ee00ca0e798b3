package squidmesh

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/squidmesh/squidmesh-go/internal/fault"
)

// StartParams say which run to start.
type StartParams struct {
	// Workflow is required.
	Workflow string

	// Trigger defaults to the workflow's first manual trigger, else to its first one.
	Trigger string

	// Payload is any value that encodes to a JSON object, or a json.RawMessage of one. Nil is the empty object. It must
	// meet the trigger's contract.
	Payload any

	// Key makes the start idempotent: a second start with the same workflow and key returns the first run, finished
	// or not, if trigger and payload are the same too, and ErrKeyConflict if they are not. At most 255 printable
	// characters. Empty means no key.
	Key string

	// Actor is who started the run, for the audit. Optional.
	Actor string
}

// StartResult is the run that a start led to.
type StartResult struct {
	Run

	// Existing says that the run was there before, under the same key.
	Existing bool
}

// StartRun starts a run in a transaction of its own: the run, its first steps and their jobs are written together or not at
// all.
//
// Errors: [ErrUnknownWorkflow], [ErrUnknownTrigger], [*PayloadError], [*InputError], [ErrKeyConflict], [ErrDispatch],
// [ErrInsideTransaction]. After ErrCommitUnknown the run may or may not exist; a start with a Key can simply be repeated.
func (rt *Runtime[TTx]) StartRun(ctx context.Context, params StartParams) (StartResult, error) {
	if err := outsideTx(ctx); err != nil {
		return StartResult{}, err
	}
	s, err := rt.prepareStart(params)
	if err != nil {
		return StartResult{}, err
	}
	return rt.start(ctx, s)
}

// StartRunTx starts a run within the caller's transaction: nothing of it exists unless the caller commits. Call
// [Runtime.Wake] after the commit to have the first step picked up at once. The transaction is unusable after an error.
//
// With a Key it may wait for another transaction that started the same key.
func (rt *Runtime[TTx]) StartRunTx(ctx context.Context, tx TTx, params StartParams) (StartResult, error) {
	s, err := rt.prepareStart(params)
	if err != nil {
		return StartResult{}, err
	}
	c, existing, err := rt.startTx(ctx, tx, s)
	if err != nil {
		return StartResult{}, err
	}
	if existing != nil {
		return StartResult{Run: *existing, Existing: true}, nil
	}
	rt.wakeForTx(c.Transition)
	return StartResult{Run: c.Run}, nil
}

// wakeForTx wakes for jobs that become visible when the caller commits, whenever that is.
func (rt *Runtime[TTx]) wakeForTx(t Transition) {
	for _, job := range t.Jobs {
		rt.waker.wakeAfterCallersCommit(job.Queue)
	}
}

// pendingStart is a start whose arguments have been checked.
type pendingStart struct {
	spec    *Spec
	trigger TriggerSpec
	payload json.RawMessage // as given
	event   Started
}

func (rt *Runtime[TTx]) prepareStart(params StartParams) (pendingStart, error) {
	spec := rt.registry.specs[params.Workflow]
	if spec == nil {
		return pendingStart{}, fmt.Errorf("%w %q%s", ErrUnknownWorkflow, params.Workflow,
			didYouMean(params.Workflow, sortedKeys(rt.registry.specs)))
	}
	trigger, ok := spec.Trigger(params.Trigger)
	if !ok {
		var names []string
		for _, t := range spec.triggers {
			names = append(names, t.Name)
		}
		return pendingStart{}, fmt.Errorf("%w %q of workflow %q%s", ErrUnknownTrigger, params.Trigger, spec.workflow,
			didYouMean(params.Trigger, names))
	}
	if err := checkText("Key", params.Key, 255, true); err != nil {
		return pendingStart{}, err
	}
	if err := checkText("Actor", params.Actor, 200, true); err != nil {
		return pendingStart{}, err
	}
	payload, err := encodePayload(params.Payload)
	if err != nil {
		return pendingStart{}, err
	}
	// Checked here so that nothing is written for a bad payload; resolved again under the database's clock.
	if _, err := trigger.resolve(payload, time.Now()); err != nil {
		return pendingStart{}, err
	}
	s := pendingStart{spec: spec, trigger: trigger, payload: payload, event: Started{
		Trigger: trigger.Name, Key: params.Key, Actor: params.Actor,
	}}
	if params.Key != "" {
		hash, err := canonicalHash(payload)
		if err != nil {
			return pendingStart{}, err
		}
		s.event.KeyHash = trigger.Name + ":" + hash
	}
	if s.event.ID, err = uuid.NewV7(); err != nil {
		return pendingStart{}, fmt.Errorf("make a run id: %w", err)
	}
	return s, nil
}

func encodePayload(payload any) (json.RawMessage, error) {
	switch p := payload.(type) {
	case nil:
		return json.RawMessage("{}"), nil
	case json.RawMessage:
		return p, nil
	}
	data, err := json.Marshal(payload)
	if err != nil {
		return nil, &InputError{Field: "Payload", Code: "invalid_json", Detail: err.Error()}
	}
	return data, nil
}

// start runs startTx in its own transaction.
func (rt *Runtime[TTx]) start(ctx context.Context, s pendingStart) (StartResult, error) {
	for try := 1; ; try++ {
		var c committed
		var existing *Run
		err := rt.store.InTx(ctx, func(ctx context.Context, tx TTx) (err error) {
			c, existing, err = rt.startTx(ctx, tx, s)
			fault.Hit("start.before_commit")
			return err
		})
		if errors.Is(err, ErrCommitUnknown) && existing == nil {
			err = rt.readBack(ctx, c, err, false)
		}
		switch {
		case err == nil && existing != nil:
			return StartResult{Run: *existing, Existing: true}, nil
		case err == nil:
			fault.Hit("start.after_commit")
			rt.markSaved(s.spec)
			rt.told(ctx, c)
			return StartResult{Run: c.Run}, nil
		case ctx.Err() != nil || try == commitAttempts,
			!errors.Is(err, errNotCommitted) && !rt.traits.Transient(err):
			return StartResult{}, err
		}
		if err := pause(ctx, backoff(try)); err != nil {
			return StartResult{}, err
		}
	}
}

// startTx inserts the run first, so that a taken key is found before anything else is written.
func (rt *Runtime[TTx]) startTx(ctx context.Context, tx TTx, s pendingStart) (committed, *Run, error) {
	save := []*Spec{s.spec}
	if p := rt.specs.get(s.spec.shape); p != nil && p.saved {
		save = nil
	}
	if err := rt.saveSpecs(ctx, tx, save); err != nil {
		return committed{}, nil, fmt.Errorf("save shape of %s: %w", s.spec.workflow, err)
	}
	locked, err := rt.store.Lock(ctx, tx, LockQuery{})
	if err != nil {
		return committed{}, nil, fmt.Errorf("read the clock: %w", err)
	}
	if s.event.Payload, err = s.trigger.resolve(s.payload, locked.Now); err != nil {
		return committed{}, nil, err
	}
	t, err := Decide(s.spec, Snapshot{}, s.event, locked.Now)
	if err != nil {
		return committed{}, nil, err
	}
	taken, err := rt.store.InsertRun(ctx, tx, t.Run)
	if err != nil {
		return committed{}, nil, fmt.Errorf("insert run of %s: %w", s.spec.workflow, err)
	}
	if taken != nil {
		if taken.KeyHash != s.event.KeyHash {
			return committed{}, nil, fmt.Errorf("start %s with key %q: %w: run %s", s.spec.workflow, s.event.Key, ErrKeyConflict, taken.ID)
		}
		return committed{}, taken, nil
	}
	c := committed{Transition: t}
	if c.jobs, err = rt.enqueue(ctx, tx, &c.Transition); err != nil {
		return committed{}, nil, err
	}
	if err := rt.store.Apply(ctx, tx, []Transition{c.Transition}); err != nil {
		return committed{}, nil, fmt.Errorf("apply start of run %s: %w", t.Run.ID, err)
	}
	return c, nil, nil
}

// markSaved notes that the database holds a shape.
func (rt *Runtime[TTx]) markSaved(spec *Spec) {
	if p := rt.specs.get(spec.shape); p != nil && p.saved {
		return
	}
	rt.specs.put(spec.shape, &pinned{spec: spec, runnable: rt.registry.runnable(spec), saved: true})
}

// checkText checks a short text of a caller.
func checkText(field, text string, limit int, optional bool) error {
	switch {
	case text == "" && !optional:
		return &InputError{Field: field, Code: "required", Detail: "is required"}
	case len(text) > limit:
		return &InputError{Field: field, Code: "too_long", Detail: fmt.Sprintf("has %d bytes, at most %d are taken", len(text), limit)}
	case !utf8.ValidString(text):
		return &InputError{Field: field, Code: "invalid_text", Detail: "is not valid UTF-8"}
	}
	for _, r := range text {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return &InputError{Field: field, Code: "invalid_text", Detail: fmt.Sprintf("holds the control character %U", r)}
		}
	}
	return nil
}
