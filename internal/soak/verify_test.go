package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTransactional_CountsRowsOfEffect(t *testing.T) {
	t.Parallel()

	kinds := func(status, kind string, effects int) (kinds []string) {
		for _, f := range transactional([]step{{Run: "r", Name: "s", Phase: "do", Status: status, Kind: kind, Attempt: 2, Effects: effects, By: 2}}) {
			kinds = append(kinds, f.kind)
		}
		return kinds
	}
	require.Empty(t, kinds("completed", "func_tx", 1))
	require.Empty(t, kinds("failed", "func_tx", 0))
	require.Empty(t, kinds("completed", "func", 0))
	require.Equal(t, []string{doubled}, kinds("completed", "func_tx", 2))
	require.Equal(t, []string{doubled}, kinds("scheduled", "func_tx", 1), "an effect of an attempt that was taken back")
	require.Equal(t, []string{violated}, kinds("completed", "func_tx", 0))

	zombie := step{Run: "r", Name: "s", Phase: "do", Status: "completed", Kind: "func_tx", Attempt: 2, Effects: 1, By: 1}
	require.Len(t, transactional([]step{zombie}), 1)
}

func TestExternal_JudgesTheLedger(t *testing.T) {
	t.Parallel()

	done := time.Date(2026, 11, 23, 6, 0, 0, 0, time.UTC)
	rows := []step{{Run: "r", Name: "s", Phase: "do", Status: "completed", Kind: "func", Attempt: 2, DoneAt: done}}
	begin := func(attempt int, key string) entry {
		return entry{Kind: noteBegin, Run: "r", Step: "s", Phase: "do", Attempt: attempt, Key: key}
	}
	end := begin(2, "k")
	end.Kind, end.At = noteEnd, done.Add(-time.Millisecond)
	late := end
	late.At = done.Add(time.Second)
	other := begin(1, "k")
	other.Run = "other"

	tests := []struct {
		name  string
		notes []entry
		want  []string
	}{
		{"each attempt once", []entry{begin(1, "k"), begin(2, "k"), end}, nil},
		{"an attempt twice", []entry{begin(1, "k"), begin(1, "k"), begin(2, "k"), end}, []string{doubled}},
		{"an attempt that nobody claimed", []entry{begin(3, "k")}, []string{violated}},
		{"another key", []entry{begin(1, "k"), begin(2, "l"), end}, []string{violated}},
		{"another's key", []entry{begin(2, "k"), end, other}, []string{violated, violated}},
		{"completed without the effect", []entry{begin(2, "k")}, []string{violated}},
		{"completed before the effect", []entry{begin(2, "k"), late}, []string{violated}},
		{"given what it should not be given", []entry{{Kind: noteWrong}}, []string{violated}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var kinds []string
			for _, f := range external(rows, test.notes) {
				kinds = append(kinds, f.kind)
			}
			require.Equal(t, test.want, kinds)
		})
	}
}
