package squidmesh

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/squidmesh/squidmesh-go/internal/check"
	"github.com/squidmesh/squidmesh-go/internal/echo"
	"github.com/squidmesh/squidmesh-go/internal/encode"
	"github.com/squidmesh/squidmesh-go/internal/nearest"
	"github.com/squidmesh/squidmesh-go/internal/text"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// StartParams say which run to start.
type StartParams struct {
	// Workflow is required.
	Workflow string

	// Trigger defaults to the workflow's first manual trigger. If there is none, it defaults to the first trigger.
	Trigger string

	// Payload is any value that encodes to a JSON object, or a json.RawMessage of one. Nil is the empty object. It must meet the
	// trigger's contract.
	Payload any

	// Key makes the start idempotent. A second start with the same workflow and key returns the first run, finished or not. If
	// trigger or payload differ, it returns ErrKeyConflict. A key has at most 255 bytes of printable characters; empty means no
	// key. No key collides with the runs of cron triggers, whose keys nobody can choose.
	//
	// All callers of a workflow share its keys. ErrKeyConflict and Existing tell a caller that somebody used the key, and the
	// result is the run of whoever did. So if tenants choose keys, put the tenant before the key.
	Key string

	// Reuse says whether a start may take the key of a run that failed or was cancelled. Zero is [KeyReuseNever].
	Reuse KeyReuse

	// Actor is who started the run, for the audit. Optional, at most 200 bytes of printable characters.
	Actor string
}

// KeyReuse says what a start does if its Key belongs to a run that failed or was cancelled.
type KeyReuse string

const (
	// KeyReuseNever keeps a key with its first run for good. The start returns that run with Existing, also if it failed or was
	// cancelled: look at its Status.
	KeyReuseNever KeyReuse = ""
	// KeyReuseAfterFailure takes the key from a run that failed or was cancelled, whatever its payload was, and starts a new run.
	// [Runtime.ListRuns] finds both by the key.
	KeyReuseAfterFailure KeyReuse = "after_failure"
)

// takesFrom reports whether a run of that status gives its key up.
func (r KeyReuse) takesFrom(status RunStatus) bool {
	return r == KeyReuseAfterFailure && (status == RunFailed || status == RunCancelled)
}

func (r KeyReuse) check() error {
	if r != KeyReuseNever && r != KeyReuseAfterFailure {
		return &InputError{Field: "Reuse", Code: "unknown_policy", Detail: echo.Quote(string(r)) + " is neither empty nor " + string(KeyReuseAfterFailure)}
	}
	return nil
}

// StartResult is the run that a start led to.
type StartResult struct {
	Run

	// Existing says that the run was there before, under the same key. Its Payload is empty then; [Runtime.InspectRun] has it.
	Existing bool `json:"existing"`
}

// StartRun starts a run in a transaction of its own. The run, its first steps and their jobs are written together or not at all.
//
// Errors: [ErrUnknownWorkflow], [ErrUnknownTrigger], [*PayloadError], [*InputError], [ErrDispatch], [ErrInsideTransaction],
// [ErrSeal]. With a Key also [ErrKeyConflict], and [ErrUnreadable] if the first run's payload cannot be opened. If ctx ends, its
// error comes, and nothing was written. After [ErrCommitUnknown] the run may or may not exist; it can come with the context's error
// too. A start with a Key can then simply be repeated.
func (rt *Runtime[TTx]) StartRun(ctx context.Context, params StartParams) (StartResult, error) {
	if err := checkCall(ctx); err != nil {
		return StartResult{}, err
	}
	s, err := rt.registry.prepareStart(params)
	if err != nil {
		return StartResult{}, err
	}
	return rt.start(ctx, s)
}

// StartRunTx starts a run within the caller's transaction. Nothing of it exists unless the caller commits. Call [Runtime.Wake]
// after the commit, so that a worker takes the first step at once. [Runtime.CancelRunTx] says after which errors the transaction
// may go on; [ErrKeyConflict] is one.
//
// With a Key it waits for another transaction that starts the same key. With a definition that is new to the database, it waits for
// another transaction that starts that definition for the first time. Errors are those of StartRun, and [ErrTxUnusable] if the
// transaction has ended, was given up, or is read-only.
func (rt *Runtime[TTx]) StartRunTx(ctx context.Context, tx TTx, params StartParams) (StartResult, error) {
	if err := checkJoin(ctx, tx); err != nil {
		return StartResult{}, err
	}
	s, err := rt.registry.prepareStart(params)
	if err != nil {
		return StartResult{}, err
	}
	return rt.startTx(ctx, tx, s)
}

// pendingStart is a start whose arguments have been checked.
type pendingStart struct {
	spec    *Spec
	trigger flow.TriggerSpec
	payload accepted // as given
	reuse   KeyReuse
	cron    bool // asked for by a cron delivery
	event   flow.Started
}

func (r *registry) prepareStart(params StartParams) (pendingStart, error) {
	if err := check.Line("Key", params.Key, maxKey); err != nil {
		return pendingStart{}, err
	}
	return r.prepareKeyed(params)
}

// prepareKeyed prepares a start whose key is a caller's that has been checked, or one that callers cannot have.
func (r *registry) prepareKeyed(params StartParams) (pendingStart, error) {
	spec := r.specs[params.Workflow]
	if spec == nil {
		return pendingStart{}, fmt.Errorf("%w %s%s", ErrUnknownWorkflow, echo.Quote(params.Workflow),
			nearest.Hint(params.Workflow, slices.Sorted(maps.Keys(r.specs))))
	}
	trigger, ok := spec.Trigger(params.Trigger)
	if !ok {
		var names []string
		for _, t := range spec.Triggers() {
			names = append(names, t.Name)
		}
		return pendingStart{}, fmt.Errorf("%w %s of workflow %q%s", ErrUnknownTrigger, echo.Quote(params.Trigger), spec.Workflow(),
			nearest.Hint(params.Trigger, names))
	}
	if err := cmp.Or(check.Line("Actor", params.Actor, maxActor), params.Reuse.check()); err != nil {
		return pendingStart{}, err
	}
	payload, err := encodePayload(params.Payload)
	if err != nil {
		return pendingStart{}, err
	}
	accepted, err := acceptPayload(trigger, payload, r.payloads[flow.TriggerKey{Workflow: spec.Workflow(), Trigger: trigger.Name}])
	if err != nil {
		return pendingStart{}, err
	}
	s := pendingStart{spec: spec, trigger: trigger, payload: accepted, reuse: params.Reuse, event: flow.Started{
		Trigger: trigger.Name, Key: params.Key, Actor: params.Actor,
	}}
	if params.Key != "" {
		s.event.KeyHash = trigger.Name + ":" + accepted.hash
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
	data, err := encode.Safely(payload)
	if err != nil {
		return nil, &InputError{Field: "Payload", Code: "invalid_json", Detail: text.Clean(err.Error(), maxComment)}
	}
	return data, nil
}

// start commits a start: without a key together with others, with one alone. The definition is saved before, so that who shares a
// commit waits for no transaction that has saved it, too.
func (rt *Runtime[TTx]) start(ctx context.Context, s pendingStart) (StartResult, error) {
	if err := rt.definitions.saveSpecs(ctx, shapeUsedEvery, s.spec); err != nil {
		return StartResult{}, err
	}
	c, err := rt.committer.commitMember(ctx, s.member())
	if err != nil {
		return StartResult{}, err
	}
	return c.started(), nil
}

// startTx decides a start within the caller's transaction.
func (rt *Runtime[TTx]) startTx(ctx context.Context, tx TTx, s pendingStart) (StartResult, error) {
	if err := rt.definitions.saveSpecTx(ctx, tx, s.spec); err != nil {
		return StartResult{}, rt.joinError(err)
	}
	c, err := rt.committer.writeTx(ctx, tx, s.member())
	if err != nil {
		return StartResult{}, err
	}
	return c.started(), nil
}

func (s *pendingStart) member() *member {
	return &member{id: s.event.ID, event: s.event, start: s}
}

// started is the answer to a start. If the key was taken, that is the run that has the key.
func (c committed) started() StartResult {
	if c.existing != nil {
		return StartResult{Run: *c.existing, Existing: true}
	}
	return StartResult{Run: c.Run}
}
