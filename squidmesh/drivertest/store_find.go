package drivertest

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

func findTests[TTx any]() map[string]func(*storeBench[TTx]) {
	return map[string]func(*storeBench[TTx]){
		"Find_PagesInOrder":   findPagesInOrder[TTx],
		"Find_Filters":        findFilters[TTx],
		"Find_ManyStatuses":   findManyStatuses[TTx],
		"Find_InAnEmptyStore": findInAnEmptyStore[TTx],
		"Scope_FitsADelivery": scopeFitsADelivery[TTx],
	}
}

func specTests[TTx any]() map[string]func(*storeBench[TTx]) {
	return map[string]func(*storeBench[TTx]){
		"Specs_ComeBackAsTheyWere":   specsComeBack[TTx],
		"Specs_AreSavedConcurrently": specsAreSavedConcurrently[TTx],
	}
}

// scopeFitsADelivery: and is the same wherever it is read.
func scopeFitsADelivery[TTx any](b *storeBench[TTx]) {
	var viewed, written string
	b.view(func(ctx context.Context, tx TTx) {
		var err error
		viewed, err = b.store.Scope(ctx, tx)
		require.NoError(b, err)
	})
	b.write(func(ctx context.Context, tx TTx) {
		var err error
		written, err = b.store.Scope(ctx, tx)
		require.NoError(b, err)
	})
	require.NotEmpty(b, viewed)
	require.Equal(b, viewed, written)
	data, err := json.Marshal(driver.StepJob{
		Schedule: driver.Schedule{Scope: viewed}, RunID: newRun("checkout").ID, Step: "a", Attempt: 1,
	}.Delivery())
	require.NoError(b, err)
	d, err := driver.ParseDelivery(data)
	require.NoError(b, err)
	require.Equal(b, viewed, d.Scope)
}

// seedRuns inserts runs of two workflows in all statuses, some started at the same instant, and returns them newest first.
func seedRuns[TTx any](b *storeBench[TTx], n int) []flow.Run {
	var runs []flow.Run
	for i := range n {
		run := newRun([]string{"checkout", "refund"}[i%2])
		run.Status = flow.RunStatuses[i%len(flow.RunStatuses)]
		run.CreatedAt = sampleTime.Add(time.Duration(i/3) * time.Microsecond)
		run.Payload = nil
		b.insert(run)
		runs = append(runs, run)
	}
	slices.SortFunc(runs, func(x, y flow.Run) int {
		if c := y.CreatedAt.Compare(x.CreatedAt); c != 0 {
			return c
		}
		return slices.Compare(y.ID[:], x.ID[:])
	})
	return runs
}

func findPagesInOrder[TTx any](b *storeBench[TTx]) {
	all := seedRuns(b, 40)
	for _, workflow := range []string{"", "checkout"} {
		want := slices.Collect(func(yield func(flow.Run) bool) {
			for _, r := range all {
				if (workflow == "" || r.Workflow == workflow) && !yield(r) {
					return
				}
			}
		})
		q := driver.RunQuery{Workflow: workflow, Limit: 7}
		var got []flow.Run
		for {
			page := b.find(q)
			got = append(got, page...)
			if len(page) < q.Limit {
				break
			}
			last := page[len(page)-1]
			q.After = &driver.RunCursor{CreatedAt: last.CreatedAt, ID: last.ID}
		}
		require.Equal(b, ids(want), ids(got))
		require.Equal(b, want, got)
		require.Equal(b, want, b.find(driver.RunQuery{Workflow: workflow}), "no limit")
	}
}

func findFilters[TTx any](b *storeBench[TTx]) {
	all := seedRuns(b, 40)
	keyed := newRun("checkout")
	keyed.Key, keyed.CreatedAt, keyed.Payload = "key", sampleTime.Add(time.Hour), json.RawMessage(sampleJSON)
	b.insert(keyed)
	all = append([]flow.Run{keyed}, all...)

	from, before := sampleTime.Add(3*time.Microsecond), sampleTime.Add(6*time.Microsecond)
	for name, test := range map[string]struct {
		query driver.RunQuery
		match func(flow.Run) bool
	}{
		"workflow": {driver.RunQuery{Workflow: "refund"}, func(r flow.Run) bool { return r.Workflow == "refund" }},
		"status": {
			driver.RunQuery{Statuses: []flow.RunStatus{flow.RunFailed, flow.RunPaused}},
			func(r flow.Run) bool { return r.Status == flow.RunFailed || r.Status == flow.RunPaused },
		},
		"workflow and status": {
			driver.RunQuery{Workflow: "refund", Statuses: []flow.RunStatus{flow.RunFailed}},
			func(r flow.Run) bool { return r.Workflow == "refund" && r.Status == flow.RunFailed },
		},
		"time": {
			driver.RunQuery{CreatedFrom: from, CreatedBefore: before},
			func(r flow.Run) bool { return !r.CreatedAt.Before(from) && r.CreatedAt.Before(before) },
		},
		"key of a workflow": {driver.RunQuery{Workflow: "checkout", Key: "key"}, func(r flow.Run) bool { return r.Key == "key" }},
		"key of any":        {driver.RunQuery{Key: "key"}, func(r flow.Run) bool { return r.Key == "key" }},
		"no such key":       {driver.RunQuery{Workflow: "refund", Key: "key"}, func(flow.Run) bool { return false }},
		"ids": {
			driver.RunQuery{IDs: []flow.RunID{all[9].ID, newRunID(), all[3].ID}},
			func(r flow.Run) bool { return r.ID == all[9].ID || r.ID == all[3].ID },
		},
		"ids of a workflow": {
			driver.RunQuery{Workflow: "refund", IDs: ids(all)},
			func(r flow.Run) bool { return r.Workflow == "refund" },
		},
		"no ids": {driver.RunQuery{IDs: []flow.RunID{}}, func(flow.Run) bool { return false }},
	} {
		var want []flow.RunID
		for _, r := range all {
			if test.match(r) {
				want = append(want, r.ID)
			}
		}
		require.ElementsMatch(b, want, ids(b.find(test.query)), name)
		require.True(b, slices.Equal(want, ids(b.find(test.query))), name+": in order")
	}

	found := b.find(driver.RunQuery{Key: "key", Payload: true})
	require.Equal(b, []flow.Run{keyed}, found)
	require.Nil(b, b.find(driver.RunQuery{Key: "key"})[0].Payload)
}

// findManyStatuses: the newest of several statuses, not the newest of each.
func findManyStatuses[TTx any](b *storeBench[TTx]) {
	all := seedRuns(b, 60)
	for _, limit := range []int{1, 5, 59, 100} {
		require.Equal(b, ids(all[:min(limit, len(all))]), ids(b.find(driver.RunQuery{Limit: limit})))
	}
}

func findInAnEmptyStore[TTx any](b *storeBench[TTx]) {
	require.Empty(b, b.find(driver.RunQuery{}))
	require.Empty(b, b.find(driver.RunQuery{IDs: []flow.RunID{newRunID()}, Payload: true}))
}

// newSpec is a spec without the compiler.
func newSpec(b require.TestingT, shape, description string) *flow.Spec {
	spec := &flow.Spec{}
	require.NoError(b, json.Unmarshal([]byte(`{"workflow":"checkout","description":"`+description+`","shape":"`+shape+`",
		"triggers":[{"name":"manual","payload":{"kind":"object"}}],
		"steps":[{"name":"a","kind":"func","policy":{"timeout":5000000000},"undo_policy":{}}]}`), spec))
	return spec
}

func specsComeBack[TTx any](b *storeBench[TTx]) {
	one, two := newSpec(b, "one", "it's 漢"), newSpec(b, "two", "")
	b.write(func(ctx context.Context, tx TTx) {
		known, err := b.store.SaveSpecs(ctx, tx, []*flow.Spec{two, one}, true)
		require.NoError(b, err)
		require.False(b, known, "the transaction may roll back")
		found, err := b.store.Specs(ctx, tx, []string{"one", "none"})
		require.NoError(b, err)
		require.Equal(b, map[string]*flow.Spec{"one": one}, found)
	})
	b.write(func(ctx context.Context, tx TTx) {
		_, err := b.store.SaveSpecs(ctx, tx, []*flow.Spec{newSpec(b, "one", "later")}, false)
		require.NoError(b, err)
		found, err := b.store.Specs(ctx, tx, []string{"one", "two"})
		require.NoError(b, err)
		require.Equal(b, map[string]*flow.Spec{"one": one, "two": two}, found, "the first body of a shape stays")
	})
	b.view(func(ctx context.Context, tx TTx) {
		found, err := b.store.Specs(ctx, tx, []string{"none"})
		require.NoError(b, err)
		require.Empty(b, found)
	})
}

func specsAreSavedConcurrently[TTx any](b *storeBench[TTx]) {
	const processes = 6
	done := make(chan error, processes)
	for i := range processes {
		specs := []*flow.Spec{newSpec(b, "a", ""), newSpec(b, "b", ""), newSpec(b, "c", "")}
		if i%2 == 0 {
			slices.Reverse(specs)
		}
		go func() {
			done <- b.store.InTx(b.Context(), func(ctx context.Context, tx TTx) error {
				_, err := b.store.SaveSpecs(ctx, tx, specs, true)
				return err
			})
		}()
	}
	for range processes {
		require.NoError(b, <-done)
	}
}
