package squidmesh

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// flights are what a line has let go and what has not ended.
type flights struct {
	*line
	flying [][]*submission
	went   []*submission
}

func (f *flights) let(t *rapid.T, batch []*submission) {
	size := 0
	for _, s := range batch {
		require.False(t, f.flies(s.id), "a run is in two commits at once")
		size += s.size()
	}
	require.LessOrEqual(t, len(batch), maxBatch)
	require.True(t, len(batch) == 1 || size <= maxBatchBytes)
	f.flying, f.went = append(f.flying, batch), append(f.went, batch...)
	require.LessOrEqual(t, f.count(func(n int) bool { return n == 1 }), f.most)
	require.LessOrEqual(t, f.count(func(n int) bool { return n > 1 }), 1)
}

func (f *flights) land(t *rapid.T) {
	i := rapid.IntRange(0, len(f.flying)-1).Draw(t, "which")
	ended := f.flying[i]
	f.flying = slices.Delete(f.flying, i, i+1)
	f.line.end(ended)
	for next := f.take(); next != nil; next = f.take() {
		f.let(t, next)
	}
}

func (f *flights) flies(id RunID) bool {
	return slices.ContainsFunc(f.flying, func(batch []*submission) bool {
		return slices.ContainsFunc(batch, func(s *submission) bool { return s.id == id })
	})
}

func (f *flights) count(of func(events int) bool) (n int) {
	for _, batch := range f.flying {
		if of(len(batch)) {
			n++
		}
	}
	return n
}

// Whatever comes, goes and ends when: nobody waits who could go, the events of a run go in the order in which they came and one after the
// other, and few commits are alone and one at most is shared.
func TestLine_EverybodysTurnComes(t *testing.T) {
	t.Parallel()

	large := make(json.RawMessage, 2*maxBatchBytes)
	rapid.Check(t, func(t *rapid.T) {
		f := &flights{line: &line{most: rapid.IntRange(1, 4).Draw(t, "most")}}
		var came []*submission
		t.Repeat(map[string]func(*rapid.T){
			"come": func(t *rapid.T) {
				size := rapid.SampledFrom([]int{0, 0, 0, maxBatchBytes / 3, len(large)}).Draw(t, "size")
				s := &submission{member: &member{id: RunID{rapid.Byte().Draw(t, "run") % 8}, event: flow.Succeeded{Output: large[:size]}}}
				came = append(came, s)
				if f.begin(s) {
					f.let(t, []*submission{s})
				}
			},
			"go": func(t *rapid.T) {
				if len(f.waiting) == 0 {
					t.Skip()
				}
				s := rapid.SampledFrom(f.waiting).Draw(t, "who")
				require.True(t, f.withdraw(s))
				came = slices.DeleteFunc(came, func(other *submission) bool { return other == s })
			},
			"end": func(t *rapid.T) {
				if len(f.flying) == 0 {
					t.Skip()
				}
				f.land(t)
			},
			"": func(t *rapid.T) {
				if f.count(func(n int) bool { return n > 1 }) > 0 || len(f.flying) >= f.most {
					return
				}
				for _, s := range f.waiting {
					require.True(t, f.flies(s.id), "somebody waits who could go")
				}
			},
		})
		for len(f.flying) > 0 {
			f.land(t)
		}
		require.Empty(t, f.waiting)
		require.Empty(t, f.alone)
		require.False(t, f.shared)
		require.True(t, maps.EqualFunc(byRun(came), byRun(f.went), slices.Equal), "the events of a run have changed places")
	})
}

func byRun(all []*submission) map[RunID][]*submission {
	runs := map[RunID][]*submission{}
	for _, s := range all {
		runs[s.id] = append(runs[s.id], s)
	}
	return runs
}
