package squidmesh

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/squidmesh/squidmesh-go/internal/echo"
	"github.com/squidmesh/squidmesh-go/internal/envelope"
	"github.com/squidmesh/squidmesh-go/internal/fault"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// SealParams say what [Runtime.SealRuns] seals, and how far a call goes.
type SealParams struct {
	// Retire are the ids of old keys. What they sealed is sealed anew with the Codec's current key, which must be none of them. The
	// Codec must still open what they sealed.
	Retire []string

	// After is the Last of an earlier result: the call goes on behind that run. Zero begins with the first run.
	After RunID

	// Limit is how many runs a call looks at, at most. Zero means all.
	Limit int
}

// SealResult says what a call of [Runtime.SealRuns] has done and how far it came.
type SealResult struct {
	// Runs is how many runs were written. Values is how many values were sealed in them and in the comments on cron triggers and
	// fires.
	Runs   int `json:"runs"`
	Values int `json:"values"`

	// Unreadable is how many values have a key of Retire and the Codec does not open them. They are as they were.
	Unreadable int `json:"unreadable"`

	// Last is the last run that was looked at. Done says that no run is left behind it, and that the triggers have been looked at
	// too.
	Last RunID `json:"last"`
	Done bool  `json:"done"`
}

// sealPage is how many runs, or fires, are looked at in one statement.
const sealPage = 200

// SealRuns seals values that stand in the clear because they were written before there was a [Codec]. It does so in unfinished and
// in ended runs, and in the comments on cron triggers and fires. It also seals anew what a key of Retire sealed.
//
// It goes from run to run in the order of their ids, which is that of their starts. It writes each run that has such a value in a
// short transaction of its own, under the run's lock. So steps, operators and retention may be at work at the same time. It holds
// one lock at a time. The run means the same as before, so its version stays, and its audit gets no entry. An error, a crash or the
// end of ctx leaves whole runs sealed. The result says how far the call came; the next call goes on behind Last, or begins anew and
// finds what is left. Any number of processes may seal at once.
//
// Give all processes the Codec first, as one without it goes on to write in the clear. Call it a second time, to seal what
// transactions wrote that were under way during the first call. With [Config.RequireSealed] a value in the clear may be somebody
// else's, so SealRuns leaves it as it is and only retires keys.
//
// Errors: [*InputError], [ErrInsideTransaction], [ErrSeal].
func (rt *Runtime[TTx]) SealRuns(ctx context.Context, params SealParams) (SealResult, error) {
	result := SealResult{Last: params.After}
	if err := outsideTx(ctx); err != nil {
		return result, err
	}
	if err := rt.checkSeal(params); err != nil {
		return result, err
	}
	q := driver.UnsealedQuery{After: params.After, Plain: !rt.config.RequireSealed, Keys: params.Retire}
	for more := true; more; {
		if q.Limit = sealPage; params.Limit > 0 {
			q.Limit = min(q.Limit, params.Limit)
		}
		var page driver.UnsealedPage
		err := rt.view(ctx, func(ctx context.Context, tx TTx) (err error) {
			page, err = rt.store.Unsealed(ctx, tx, q)
			return err
		})
		if err != nil {
			return result, fmt.Errorf("seal: find runs behind %s: %w", q.After, err)
		}
		for _, id := range page.Runs {
			sealed, err := rt.seal(ctx, q, func(ctx context.Context, tx TTx, s *sealing) error { return sealRun(ctx, tx, rt.stored, s, id) })
			if err != nil {
				return result, fmt.Errorf("seal run %s: %w", id, err)
			}
			if sealed.Unreadable > 0 {
				rt.logger.Warn("squidmesh: sealed values cannot be opened, so they keep their key", "run_id", id, "values", sealed.Unreadable)
			}
			result.add(sealed)
			result.Last = id
		}
		q.After, result.Last = page.Last, page.Last
		more = page.More
		if params.Limit -= q.Limit; more && params.Limit == 0 {
			return result, nil
		}
	}
	err := rt.sealTriggers(ctx, q, &result)
	result.Done = err == nil
	return result, err
}

func (r *SealResult) add(more SealResult) {
	r.Runs += more.Runs
	r.Values += more.Values
	r.Unreadable += more.Unreadable
}

func (rt *Runtime[TTx]) checkSeal(params SealParams) error {
	switch {
	case rt.config.Codec == nil:
		return &InputError{Field: "Config.Codec", Code: "required", Detail: "is missing: without it there is nothing to seal with"}
	case rt.config.RequireSealed && len(params.Retire) == 0:
		return &InputError{
			Field: "Retire", Code: "required",
			Detail: "is empty: with Config.RequireSealed what is in the clear is not to be trusted, so it is not sealed either",
		}
	case params.Limit < 0:
		return &InputError{Field: "Limit", Code: "out_of_range", Detail: fmt.Sprintf("is %d, must not be negative", params.Limit)}
	}
	for _, id := range params.Retire {
		if err := checkKeyID(id); err != nil {
			return fmt.Errorf("retire: %w", err)
		}
	}
	return nil
}

// seal lets fn seal in a transaction, and says what that has sealed.
func (rt *Runtime[TTx]) seal(ctx context.Context, q driver.UnsealedQuery,
	fn func(ctx context.Context, tx TTx, s *sealing) error,
) (SealResult, error) {
	var s *sealing
	err := rt.insist(ctx, rt.store.InTx, rt.writeMayPass, func(ctx context.Context, tx TTx) error {
		s = &sealing{sealer: sealer{codec: retiring{rt.config.Codec, q.Keys}}, query: q}
		err := fn(ctx, tx, s)
		fault.Hit("seal.before_commit")
		return err
	})
	if err != nil {
		return SealResult{}, err
	}
	fault.Hit("seal.after_commit")
	return s.result, nil
}

// sealRun seals what is to be sealed of a run, under its lock. A run that was deleted meanwhile is left out.
func sealRun[TTx any](ctx context.Context, tx TTx, store driver.Store[TTx], s *sealing, id RunID) error {
	locked, err := store.Lock(ctx, tx, driver.LockQuery{Runs: []RunID{id}})
	if err != nil || len(locked.Runs) == 0 {
		return err
	}
	runs, err := store.Find(ctx, tx, driver.RunQuery{IDs: []RunID{id}, Payload: true})
	if err != nil {
		return err
	}
	history, err := store.History(ctx, tx, id)
	if err != nil {
		return err
	}
	values, err := s.run(ctx, runs[0], history)
	if err != nil || values.Empty() {
		return err
	}
	s.result.Runs++
	return store.SaveSealed(ctx, tx, values)
}

// sealTriggers seals the comments on cron triggers and fires.
func (rt *Runtime[TTx]) sealTriggers(ctx context.Context, q driver.UnsealedQuery, result *SealResult) error {
	var triggers []flow.TriggerState
	err := rt.view(ctx, func(ctx context.Context, tx TTx) (err error) {
		triggers, err = rt.stored.Triggers(ctx, tx, driver.TriggerQuery{})
		return err
	})
	if err != nil {
		return fmt.Errorf("seal: list triggers: %w", err)
	}
	for _, t := range triggers {
		for after, more := "", true; more; {
			var last string
			sealed, err := rt.seal(ctx, q, func(ctx context.Context, tx TTx, s *sealing) (err error) {
				last, err = sealTrigger(ctx, tx, rt.stored, s, t.TriggerKey, after)
				return err
			})
			if err != nil {
				return fmt.Errorf("seal comments on trigger %s: %w", t.TriggerKey, err)
			}
			if sealed.Unreadable > 0 {
				rt.logger.Warn("squidmesh: sealed comments cannot be opened, so they keep their key", "trigger", t.TriggerKey.String(), "values", sealed.Unreadable)
			}
			result.add(sealed)
			after, more = last, last != ""
		}
	}
	return nil
}

// sealTrigger seals the comment on a trigger, and those on a page of its fires. It returns the key of the last of them, empty
// at the end. Deliveries and operators wait for the trigger's row before they write any of these.
func sealTrigger[TTx any](ctx context.Context, tx TTx, store driver.Store[TTx], s *sealing, key flow.TriggerKey,
	after string,
) (last string, err error) {
	keys := []flow.TriggerKey{key}
	triggers, err := store.Triggers(ctx, tx, driver.TriggerQuery{Keys: keys, Lock: true})
	if err != nil {
		return "", err
	}
	fires, err := store.Fires(ctx, tx, driver.FireQuery{Keys: keys, Commented: true, After: after, Limit: sealPage})
	if err != nil {
		return "", err
	}
	if after != "" {
		triggers = nil // it was sealed with the first page
	}
	values, err := s.comments(ctx, triggers, fires)
	if err != nil {
		return "", err
	}
	if !values.Empty() {
		err = store.SaveSealed(ctx, tx, values)
	}
	if len(fires) == sealPage {
		last = fires[len(fires)-1].Key
	}
	return last, err
}

// sealing is a sealer at work on values that are stored already.
type sealing struct {
	sealer
	query  driver.UnsealedQuery
	result SealResult
}

// retiring is a codec that does not seal with keys that are to be retired.
type retiring struct {
	Codec
	keys []string
}

func (r retiring) Seal(ctx context.Context, place string, plain []byte) (string, []byte, error) {
	id, sealed, err := r.Codec.Seal(ctx, place, plain)
	if err == nil && slices.Contains(r.keys, id) {
		err = fmt.Errorf("key %s is to be retired, and the codec seals with it: make another one its current key", echo.Quote(id))
	}
	return id, sealed, err
}

// run seals the values of a run, and returns the rows that have changed.
func (s *sealing) run(ctx context.Context, run Run, history driver.History) (values driver.SealedValues, err error) {
	before := s.result.Values
	if run.Payload, err = s.value(ctx, payloadPlace(run), run.Payload); err != nil {
		return values, err
	}
	if run.KeyHash, err = s.text(ctx, keyPlace(run), run.KeyHash); err != nil {
		return values, err
	}
	if run.Reason, err = s.failure(ctx, run.ID, run.Reason); err != nil {
		return values, err
	}
	if s.result.Values > before {
		values.Runs = append(values.Runs, run)
	}
	for _, a := range history.Attempts {
		before = s.result.Values
		if a.Error, err = s.failure(ctx, run.ID, a.Error); err != nil {
			return values, err
		}
		if s.result.Values > before {
			values.Attempts = append(values.Attempts, a)
		}
	}
	for _, e := range history.Audit {
		before = s.result.Values
		if e.Data, err = s.data(ctx, e); err != nil {
			return values, err
		}
		if e.Output, err = s.value(ctx, outputPlace(run.ID, e.StepKey), e.Output); err != nil {
			return values, err
		}
		if s.result.Values > before {
			values.Audit = append(values.Audit, e)
		}
	}
	return values, nil
}

// comments seals those on triggers and fires, and returns the rows that have changed.
func (s *sealing) comments(ctx context.Context, triggers []flow.TriggerState, fires []flow.Fire) (values driver.SealedValues, err error) {
	for _, t := range triggers {
		before := s.result.Values
		if t.Comment, err = s.text(ctx, triggerPlace(t), t.Comment); err != nil {
			return values, err
		}
		if s.result.Values > before {
			values.Triggers = append(values.Triggers, t)
		}
	}
	for _, f := range fires {
		before := s.result.Values
		if f.Comment, err = s.text(ctx, firePlace(f), f.Comment); err != nil {
			return values, err
		}
		if s.result.Values > before {
			values.Fires = append(values.Fires, f)
		}
	}
	return values, nil
}

// value is a value as it is to be stored.
func (s *sealing) value(ctx context.Context, place string, value json.RawMessage) (json.RawMessage, error) {
	if !s.query.Wants(value) {
		return value, nil
	}
	plain := s.open(ctx, place, value)
	if envelope.Is(plain) {
		s.result.Unreadable++
		return value, nil
	}
	s.result.Values++
	return s.seal(ctx, place, plain)
}

func (s *sealing) text(ctx context.Context, place, text string) (string, error) {
	value, err := s.value(ctx, place, json.RawMessage(text))
	return string(value), err
}

func (s *sealing) data(ctx context.Context, e flow.AuditEntry) (json.RawMessage, error) {
	if !envelope.Is(e.Data) && !envelope.SaysSomething(e.Data) {
		return e.Data, nil
	}
	return s.value(ctx, dataPlace(e), e.Data)
}

func (s *sealing) failure(ctx context.Context, run RunID, e *StepError) (*StepError, error) {
	if !s.query.WantsFailure(e) {
		return e, nil
	}
	opened := s.openError(ctx, run, e)
	if envelope.Unopened(opened) {
		s.result.Unreadable++
		return e, nil
	}
	s.result.Values++
	return s.sealError(ctx, run, opened)
}
