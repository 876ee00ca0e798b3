package squidmesh

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// sealedStore is a store whose rows hold sealed values, while the core sees plain ones. What it cannot open it leaves sealed.
type sealedStore[TTx any] struct {
	driver.Store[TTx]
	sealer
}

func (s sealedStore[TTx]) Lock(ctx context.Context, tx TTx, q driver.LockQuery) (driver.Locked, error) {
	locked, err := s.Store.Lock(ctx, tx, q)
	for id, run := range locked.Runs {
		if opened, changed := s.openRun(ctx, run); changed {
			locked.Runs[id] = opened
		}
	}
	return locked, err
}

func (s sealedStore[TTx]) Load(ctx context.Context, tx TTx, reads map[RunID]flow.Reads) (map[RunID]driver.Loaded, error) {
	all, err := s.Store.Load(ctx, tx, reads)
	if err != nil || s.codec == nil {
		return all, err
	}
	var payloads []RunID
	for id, loaded := range all {
		for name, output := range loaded.Outputs {
			loaded.Outputs[name] = s.open(ctx, outputPlace(id, flow.StepKey{Name: name, Phase: flow.PhaseDo}), output)
		}
		if len(loaded.Payload) > 0 {
			payloads = append(payloads, id)
		}
	}
	if len(payloads) == 0 {
		return all, nil
	}
	runs, err := s.Store.Find(ctx, tx, driver.RunQuery{IDs: payloads}) // whose columns tell the place
	for _, run := range runs {
		loaded := all[run.ID]
		loaded.Payload = s.open(ctx, payloadPlace(run), loaded.Payload)
		all[run.ID] = loaded
	}
	return all, err
}

func (s sealedStore[TTx]) InsertRun(ctx context.Context, tx TTx, run Run) (*Run, error) {
	run, err := s.sealRun(ctx, run, true)
	if err != nil {
		return nil, err
	}
	taken, err := s.Store.InsertRun(ctx, tx, run)
	if taken != nil {
		hash := string(s.open(ctx, keyPlace(*taken), json.RawMessage(taken.KeyHash))) // the one place where it is compared
		*taken, _ = s.openRun(ctx, *taken)
		taken.KeyHash = hash
	}
	return taken, err
}

func (s sealedStore[TTx]) Apply(ctx context.Context, tx TTx, ts []flow.Transition) error {
	if s.codec == nil {
		return s.Store.Apply(ctx, tx, ts)
	}
	sealed := make([]flow.Transition, len(ts)) // the plain ones are carried on
	for i, t := range ts {
		var err error
		if sealed[i], err = s.sealTransition(ctx, t); err != nil {
			return err
		}
	}
	return s.Store.Apply(ctx, tx, sealed)
}

func (s sealedStore[TTx]) Find(ctx context.Context, tx TTx, q driver.RunQuery) ([]Run, error) {
	runs, err := s.Store.Find(ctx, tx, q)
	for i := range runs {
		runs[i], _ = s.openRun(ctx, runs[i])
	}
	return runs, err
}

func (s sealedStore[TTx]) History(ctx context.Context, tx TTx, id RunID) (driver.History, error) {
	history, err := s.Store.History(ctx, tx, id)
	for i := range history.Attempts {
		history.Attempts[i].Error = s.openError(ctx, id, history.Attempts[i].Error)
	}
	for i := range history.Audit {
		e := &history.Audit[i]
		e.Data = s.openData(ctx, *e)
		e.Output = s.open(ctx, outputPlace(id, e.StepKey), e.Output)
	}
	return history, err
}

func (s sealedStore[TTx]) Triggers(ctx context.Context, tx TTx, q driver.TriggerQuery) ([]flow.TriggerState, error) {
	rows, err := s.Store.Triggers(ctx, tx, q)
	for i := range rows {
		rows[i].Comment = s.openText(ctx, triggerPlace(rows[i]), rows[i].Comment)
	}
	return rows, err
}

func (s sealedStore[TTx]) Fires(ctx context.Context, tx TTx, q driver.FireQuery) ([]flow.Fire, error) {
	fires, err := s.Store.Fires(ctx, tx, q)
	s.openFires(ctx, fires)
	return fires, err
}

// SaveCron seals what it inserts and what operators say. The comments of other rows are not written, as they may be ones that could not
// be opened.
func (s sealedStore[TTx]) SaveCron(ctx context.Context, tx TTx, c driver.CronChange) (_ []flow.Fire, err error) {
	if s.codec == nil {
		return s.Store.SaveCron(ctx, tx, c)
	}
	c.Operated, c.NewFires = slices.Clone(c.Operated), slices.Clone(c.NewFires)
	for i := range c.Operated {
		t := &c.Operated[i]
		if t.Comment, err = s.sealText(ctx, triggerPlace(*t), t.Comment); err != nil {
			return nil, err
		}
	}
	for i := range c.NewFires {
		f := &c.NewFires[i]
		if f.Comment, err = s.sealText(ctx, firePlace(*f), f.Comment); err != nil {
			return nil, err
		}
	}
	inserted, err := s.Store.SaveCron(ctx, tx, c)
	s.openFires(ctx, inserted)
	return inserted, err
}

func (s sealer) openFires(ctx context.Context, fires []flow.Fire) {
	for i := range fires {
		fires[i].Comment = s.openText(ctx, firePlace(fires[i]), fires[i].Comment)
	}
}

func (s sealer) sealRun(ctx context.Context, run Run, isNew bool) (_ Run, err error) {
	if run.Reason, err = s.sealError(ctx, run.ID, run.Reason); err != nil || !isNew {
		return run, err
	}
	if run.Payload, err = s.seal(ctx, payloadPlace(run), run.Payload); err != nil {
		return run, err
	}
	// Of a payload that can be guessed, a plain hash tells it.
	run.KeyHash, err = s.sealText(ctx, keyPlace(run), run.KeyHash)
	return run, err
}

// openRun opens what is sealed in a run's row, and says whether anything was. It takes the hash out: nobody reads it any more. So it
// does with a key that no caller has given.
func (s sealer) openRun(ctx context.Context, run Run) (_ Run, changed bool) {
	if len(run.Payload) > 0 {
		run.Payload, changed = s.open(ctx, payloadPlace(run), run.Payload), true
	}
	if key := flow.CallersKey(run.Key); run.KeyHash != "" || key != run.Key {
		run.Key, run.KeyHash, changed = key, "", true
	}
	if opened := s.openError(ctx, run.ID, run.Reason); opened != run.Reason {
		run.Reason, changed = opened, true
	}
	return run, changed
}

func (s sealer) sealTransition(ctx context.Context, t flow.Transition) (_ flow.Transition, err error) {
	if !t.Empty() {
		if t.Run, err = s.sealRun(ctx, t.Run, t.NewRun); err != nil {
			return t, err
		}
	}
	t.Attempts, t.Audit = slices.Clone(t.Attempts), slices.Clone(t.Audit)
	for i := range t.Attempts {
		a := &t.Attempts[i]
		if a.Error, err = s.sealError(ctx, a.Run, a.Error); err != nil {
			return t, err
		}
	}
	for i := range t.Audit {
		e := &t.Audit[i]
		if e.Data, err = s.sealData(ctx, *e); err != nil {
			return t, err
		}
		if e.Output, err = s.seal(ctx, outputPlace(e.Run, e.StepKey), e.Output); err != nil {
			return t, err
		}
	}
	return t, nil
}
