package drivertest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// What is to be sealed is written by SaveSealed here, so that it is what these tests say even if a codec stands before the store.
func sealTests[TTx any]() map[string]func(*storeBench[TTx]) {
	return map[string]func(*storeBench[TTx]){
		"Seal_FindsWhatIsToBeSealed":          findsUnsealed[TTx],
		"Seal_FindsItPageByPage":              findsUnsealedByPages[TTx],
		"Seal_WritesValuesAndNothingElse":     savesSealed[TTx],
		"Seal_WritesCommentsAndNothingElse":   savesSealedComments[TTx],
		"Seal_NothingIsWrittenInRollbacks":    sealRollsBack[TTx],
		"Seal_WaitsForWhoeverHasLockedTheRun": sealWaits[TTx],
	}
}

func (b *storeBench[TTx]) unsealed(q driver.UnsealedQuery) (page driver.UnsealedPage) {
	b.Helper()
	b.view(func(ctx context.Context, tx TTx) {
		var err error
		page, err = b.store.Unsealed(ctx, tx, q)
		require.NoError(b, err)
	})
	return page
}

func (b *storeBench[TTx]) saveSealed(values driver.SealedValues) {
	b.Helper()
	b.write(func(ctx context.Context, tx TTx) { require.NoError(b, b.store.SaveSealed(ctx, tx, values)) })
}

// sealedWith is a value that a key has sealed.
func sealedWith(key string) json.RawMessage {
	id, _ := json.Marshal(key)
	return json.RawMessage(fmt.Sprintf(`{"$sealed":{"key":%s,"data":"c2VjcmV0"}}`, id))
}

// failureSealedWith is a failure that a key has sealed.
func failureSealedWith(key string) *flow.StepError {
	return &flow.StepError{
		Step: "a", Phase: flow.PhaseUndo, Attempt: 3, Code: `odd "code"`, Message: "(sealed)", Details: sealedWith(key), At: sampleTime,
	}
}

// storedRun inserts a run with an attempt and an entry, none of which has a value.
func (b *storeBench[TTx]) storedRun() (flow.Run, flow.AttemptRecord, flow.AuditEntry) {
	b.Helper()
	run := newRun("sealing")
	run.Payload = nil
	b.insert(run)
	t := next(run)
	t.Attempts = []flow.AttemptRecord{{
		Run: run.ID, StepKey: do("a"), Attempt: 1, Worker: 7, Outcome: flow.AttemptFailed, StartedAt: sampleTime, EndedAt: sampleTime,
	}}
	b.apply(t)
	return t.Run, t.Attempts[0], t.Audit[0]
}

func findsUnsealed[TTx any](b *storeBench[TTx]) {
	plainly := &flow.StepError{Step: "a", Attempt: 1, Code: "error", Message: "(sealed)", At: sampleTime}
	disguised := *plainly
	disguised.Details = json.RawMessage(`{"a":` + string(must(json.Marshal(failureSealedWith("old")))) + `}`)
	type value struct {
		name                string
		of                  func(run *flow.Run, a *flow.AttemptRecord, e *flow.AuditEntry)
		plain, old, percent bool
	}
	raw := func(text string) json.RawMessage { return json.RawMessage(text) }
	values := []value{
		{name: "nothing", of: func(*flow.Run, *flow.AttemptRecord, *flow.AuditEntry) {}},
		{name: "payload", plain: true, of: func(run *flow.Run, _ *flow.AttemptRecord, _ *flow.AuditEntry) {
			run.Payload = raw(sampleJSON)
		}},
		{name: "old payload", old: true, of: func(run *flow.Run, _ *flow.AttemptRecord, _ *flow.AuditEntry) {
			run.Payload = sealedWith("old")
		}},
		{name: "odd payload", percent: true, of: func(run *flow.Run, _ *flow.AttemptRecord, _ *flow.AuditEntry) {
			run.Payload = sealedWith(`%_"é`)
		}},
		{name: "new payload", of: func(run *flow.Run, _ *flow.AttemptRecord, _ *flow.AuditEntry) {
			run.Payload = sealedWith("older") // begins as another key does
		}},
		{name: "hash", plain: true, of: func(run *flow.Run, _ *flow.AttemptRecord, _ *flow.AuditEntry) { run.KeyHash = "go:x" }},
		{name: "old hash", old: true, of: func(run *flow.Run, _ *flow.AttemptRecord, _ *flow.AuditEntry) {
			run.KeyHash = string(sealedWith("old"))
		}},
		{name: "reason", plain: true, of: func(run *flow.Run, _ *flow.AttemptRecord, _ *flow.AuditEntry) { run.Reason = plainly }},
		{name: "reason like a sealed one", plain: true, of: func(run *flow.Run, _ *flow.AttemptRecord, _ *flow.AuditEntry) {
			run.Reason = &disguised
		}},
		{name: "old reason", old: true, of: func(run *flow.Run, _ *flow.AttemptRecord, _ *flow.AuditEntry) {
			run.Reason = failureSealedWith("old")
		}},
		{name: "new reason", of: func(run *flow.Run, _ *flow.AttemptRecord, _ *flow.AuditEntry) {
			run.Reason = failureSealedWith("new")
		}},
		{name: "attempt", plain: true, of: func(_ *flow.Run, a *flow.AttemptRecord, _ *flow.AuditEntry) { a.Error = plainly }},
		{name: "old attempt", old: true, of: func(_ *flow.Run, a *flow.AttemptRecord, _ *flow.AuditEntry) {
			a.Error = failureSealedWith("old")
		}},
		{name: "output", plain: true, of: func(_ *flow.Run, _ *flow.AttemptRecord, e *flow.AuditEntry) { e.Output = raw("null") }},
		{name: "old output", old: true, of: func(_ *flow.Run, _ *flow.AttemptRecord, e *flow.AuditEntry) {
			e.Output = sealedWith("old")
		}},
		{name: "silent data", of: func(_ *flow.Run, _ *flow.AttemptRecord, e *flow.AuditEntry) {
			e.Data = raw(`{"route":"comment","key":"\"error\":"}`)
		}},
		{name: "comment", plain: true, of: func(_ *flow.Run, _ *flow.AttemptRecord, e *flow.AuditEntry) {
			e.Data = raw(`{"run_status":"cancelled","comment":"no"}`)
		}},
		{name: "metadata", plain: true, of: func(_ *flow.Run, _ *flow.AttemptRecord, e *flow.AuditEntry) {
			e.Data = raw(`{"metadata":{"a":"\ud83d"}}`)
		}},
		{name: "error", plain: true, of: func(_ *flow.Run, _ *flow.AttemptRecord, e *flow.AuditEntry) {
			e.Data = raw(`{"error":{}}`)
		}},
		{name: "old data", old: true, of: func(_ *flow.Run, _ *flow.AttemptRecord, e *flow.AuditEntry) {
			e.Data = sealedWith("old")
		}},
		{name: "both", plain: true, old: true, of: func(run *flow.Run, _ *flow.AttemptRecord, e *flow.AuditEntry) {
			run.Payload, e.Output = sealedWith("old"), raw(`{}`)
		}},
	}
	names := map[flow.RunID]string{}
	for _, v := range values {
		run, a, e := b.storedRun()
		names[run.ID] = v.name
		v.of(&run, &a, &e)
		b.saveSealed(driver.SealedValues{
			Runs: []flow.Run{run}, Attempts: []flow.AttemptRecord{a}, Audit: []flow.AuditEntry{e},
		})
	}
	for _, c := range []struct {
		query driver.UnsealedQuery
		of    func(value) bool
	}{
		{driver.UnsealedQuery{}, func(value) bool { return false }},
		{driver.UnsealedQuery{Plain: true}, func(v value) bool { return v.plain }},
		{driver.UnsealedQuery{Keys: []string{"old"}}, func(v value) bool { return v.old }},
		{driver.UnsealedQuery{Keys: []string{"o_d", `%_"é`, "%"}}, func(v value) bool { return v.percent }},
		{driver.UnsealedQuery{Plain: true, Keys: []string{"nobody's", "old"}}, func(v value) bool { return v.plain || v.old }},
	} {
		c.query.Limit = len(values) + 1
		page := b.unsealed(c.query)
		var want, found []string
		for _, v := range values {
			if c.of(v) {
				want = append(want, v.name)
			}
		}
		for _, id := range page.Runs {
			found = append(found, names[id])
		}
		require.Equal(b, want, found, "%+v", c.query)
		require.False(b, page.More)
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func findsUnsealedByPages[TTx any](b *storeBench[TTx]) {
	require.Equal(b, driver.UnsealedPage{}, b.unsealed(driver.UnsealedQuery{Plain: true, Limit: 2}))
	var all, plain []flow.RunID
	for i := range 5 {
		run, _, _ := b.storedRun()
		all = append(all, run.ID)
		if i%2 == 0 {
			plain = append(plain, run.ID)
			run.Payload = json.RawMessage(`{"a":1}`)
			b.saveSealed(driver.SealedValues{Runs: []flow.Run{run}})
		}
	}
	var found []flow.RunID
	q := driver.UnsealedQuery{Plain: true, Limit: 2}
	for i := range 3 {
		page := b.unsealed(q)
		found = append(found, page.Runs...)
		require.Equal(b, i < 2, page.More)
		require.Equal(b, all[min(2*i+1, 4)], page.Last)
		q.After = page.Last
	}
	require.Equal(b, plain, found)
	require.Equal(b, driver.UnsealedPage{Last: q.After}, b.unsealed(q))
}

func savesSealed[TTx any](b *storeBench[TTx]) {
	run, a, e := b.storedRun()
	other, _, _ := b.storedRun()
	before, history := b.run(run.ID), b.history(run.ID)

	wrong := run
	wrong.Status, wrong.Version, wrong.Seq, wrong.Workflow, wrong.Open = flow.RunFailed, 99, 98, "other", 97
	wrong.Payload, wrong.Reason = json.RawMessage(sampleJSON), &flow.StepError{Step: "a", Attempt: 1, Code: "error", Message: "no", At: sampleTime}
	wrongAttempt, wrongEntry := a, e
	wrongAttempt.Outcome, wrongAttempt.Worker, wrongAttempt.Error = flow.AttemptLost, 99, wrong.Reason
	wrongEntry.Kind, wrongEntry.Actor, wrongEntry.Data, wrongEntry.Output = flow.AuditLost, "ann", json.RawMessage(sampleJSON), json.RawMessage(`[1.0]`)
	nobody, nothing, none := wrong, wrongAttempt, wrongEntry
	nobody.ID, nothing.Run, none.Seq = newRunID(), newRunID(), 77
	b.saveSealed(driver.SealedValues{
		Runs: []flow.Run{nobody, wrong}, Attempts: []flow.AttemptRecord{wrongAttempt, nothing},
		Audit: []flow.AuditEntry{none, wrongEntry},
	})
	before.Payload, before.Reason = wrong.Payload, wrong.Reason
	require.Equal(b, before, b.run(run.ID))
	history.Attempts[0].Error = wrong.Reason
	place := slices.IndexFunc(history.Audit, func(o flow.AuditEntry) bool { return o.Seq == e.Seq })
	history.Audit[place].Data, history.Audit[place].Output = wrongEntry.Data, wrongEntry.Output
	require.Equal(b, history, b.history(run.ID))
	require.Nil(b, b.run(other.ID).Payload)
	require.Nil(b, b.history(other.ID).Attempts[0].Error)

	b.saveSealed(driver.SealedValues{Runs: []flow.Run{run}, Attempts: []flow.AttemptRecord{a}, Audit: []flow.AuditEntry{e}})
	require.Nil(b, b.run(run.ID).Payload, "none is none")
	require.Nil(b, b.run(run.ID).Reason)
	require.Nil(b, b.history(run.ID).Attempts[0].Error)
	require.Nil(b, b.history(run.ID).Audit[place].Output)
	b.saveSealed(driver.SealedValues{})
}

func savesSealedComments[TTx any](b *storeBench[TTx]) {
	operated := trigger(nightly, sampleTime)
	b.saveCron(driver.CronChange{Register: []flow.TriggerState{operated, trigger(weekly, sampleTime)}})
	operated.ChangedAt, operated.Actor, operated.Comment = sampleTime, "ann", "why"
	b.saveCron(driver.CronChange{Operated: []flow.TriggerState{operated}})
	var fires []flow.Fire
	for i, key := range []string{"now:1", "now:2", "now:3", "now:4"} {
		f := pending(nightly, key, sampleTime, sampleTime)
		f.SignalID, f.Actor, f.Comment = key, "ann", "because"
		if i == 1 {
			f.Comment = ""
		}
		fires = append(fires, f)
	}
	elsewhere := pending(weekly, "now:1", sampleTime, sampleTime)
	elsewhere.Comment = "of another trigger"
	b.saveCron(driver.CronChange{NewFires: append(fires, elsewhere)})
	commented := func(after string, limit int) (keys []string) {
		q := driver.FireQuery{Keys: []flow.TriggerKey{nightly}, Commented: true, After: after, Limit: limit}
		for _, f := range b.fires(q) {
			require.Equal(b, nightly, f.TriggerKey)
			keys = append(keys, f.Key)
		}
		return keys
	}
	require.Equal(b, []string{"now:1", "now:3"}, commented("", 2))
	require.Equal(b, []string{"now:4"}, commented("now:3", 2))
	require.Empty(b, commented("now:4", 2))

	wrong, wrongFire, nobody := operated, fires[0], fires[0]
	wrong.Comment, wrong.Actor, wrong.NextAt, wrong.Paused = "sealed", "bob", sampleTime.AddDate(1, 0, 0), true
	wrongFire.Comment, wrongFire.Actor, wrongFire.State = "sealed too", "bob", flow.FireSkipped
	nobody.Key = "now:9"
	b.saveSealed(driver.SealedValues{Triggers: []flow.TriggerState{wrong}, Fires: []flow.Fire{nobody, wrongFire}})
	operated.Comment, fires[0].Comment = "sealed", "sealed too"
	require.Equal(b, operated, b.triggers(driver.TriggerQuery{Keys: []flow.TriggerKey{nightly}})[0])
	require.Equal(b, "of another trigger", b.fires(driver.FireQuery{Keys: []flow.TriggerKey{weekly}, Newest: 9})[0].Comment)
	found := b.fires(driver.FireQuery{Keys: []flow.TriggerKey{nightly}, Newest: 9})
	require.ElementsMatch(b, fires, found)
}

func sealRollsBack[TTx any](b *storeBench[TTx]) {
	run, _, _ := b.storedRun()
	err := b.store.InTx(b.Context(), func(ctx context.Context, tx TTx) error {
		run.Payload = json.RawMessage(`{"a":1}`)
		require.NoError(b, b.store.SaveSealed(ctx, tx, driver.SealedValues{Runs: []flow.Run{run}}))
		return context.Canceled
	})
	require.ErrorIs(b, err, context.Canceled)
	require.Nil(b, b.run(run.ID).Payload)
}

// sealWaits: what stands in a locked run is what whoever had it before has committed.
func sealWaits[TTx any](b *storeBench[TTx]) {
	if !b.postgres() {
		b.Skip("one transaction writes at a time")
	}
	run, _, e := b.storedRun()
	locked, sealed := make(chan struct{}), make(chan error, 1)
	b.write(func(ctx context.Context, tx TTx) {
		_, err := b.store.Lock(ctx, tx, driver.LockQuery{Runs: []flow.RunID{run.ID}})
		require.NoError(b, err)
		go func() {
			sealed <- b.store.InTx(b.Context(), func(ctx context.Context, tx TTx) error {
				close(locked)
				if _, err := b.store.Lock(ctx, tx, driver.LockQuery{Runs: []flow.RunID{run.ID}}); err != nil {
					return err
				}
				history, err := b.store.History(ctx, tx, run.ID)
				if err != nil {
					return err
				}
				e := history.Audit[len(history.Audit)-1]
				e.Output = json.RawMessage(fmt.Sprintf(`{"seq":%d}`, e.Seq))
				return b.store.SaveSealed(ctx, tx, driver.SealedValues{Audit: []flow.AuditEntry{e}})
			})
		}()
		<-locked
		require.NoError(b, b.store.Apply(ctx, tx, []flow.Transition{next(run)}))
	})
	require.NoError(b, <-sealed)
	audit := b.history(run.ID).Audit
	last := audit[len(audit)-1]
	require.Equal(b, e.Seq+1, last.Seq)
	require.JSONEq(b, fmt.Sprintf(`{"seq":%d}`, last.Seq), string(last.Output))
}
