package squidmesh

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// flights are what a group has let go and what has not ended.
type flights struct {
	*group
	flying [][]*submission
}

func (f *flights) add(t *rapid.T, batch []*submission) {
	require.LessOrEqual(t, len(batch), maxBatch)
	for _, other := range f.flying {
		for _, a := range batch {
			require.False(t, slices.ContainsFunc(other, func(b *submission) bool { return a.id == b.id }), "a run is in two commits at once")
		}
	}
	f.flying = append(f.flying, batch)
	alone, shared := 0, 0
	for _, batch := range f.flying {
		if len(batch) == 1 {
			alone++
		} else {
			shared++
		}
	}
	require.LessOrEqual(t, alone, f.most)
	require.LessOrEqual(t, shared, 1)
}

// Whatever comes and ends when, everybody's turn comes, in the order in which they came; no run is in two commits at once; few commits are
// alone, and one at most is shared.
func TestGroup_EverybodysTurnComes(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		f := &flights{group: &group{most: rapid.IntRange(1, 4).Draw(t, "most")}}
		var came, went []*submission
		let := func(batch []*submission) {
			f.add(t, batch)
			went = append(went, batch...)
		}
		end := func() {
			i := rapid.IntRange(0, len(f.flying)-1).Draw(t, "which")
			ended := f.flying[i]
			f.flying = slices.Delete(f.flying, i, i+1)
			if next := f.next(ended); next != nil {
				let(next)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"come": func(t *rapid.T) {
				s := &submission{member: &member{id: RunID{rapid.Byte().Draw(t, "run") % 8}}}
				came = append(came, s)
				if f.begin(s) {
					let([]*submission{s})
				}
			},
			"end": func(t *rapid.T) {
				if len(f.flying) == 0 {
					t.Skip()
				}
				end()
			},
			"": func(t *rapid.T) {
				require.Equal(t, len(came), len(went)+len(f.waiting))
			},
		})
		for len(f.flying) > 0 {
			end()
		}
		require.Empty(t, f.waiting)
		require.Equal(t, came, went)
		require.Empty(t, f.alone)
		require.False(t, f.shared)
	})
}
