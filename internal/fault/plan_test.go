//go:build squidmesh_fault

package fault

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParse_ReadsEveryKindOfClause(t *testing.T) {
	t.Parallel()

	p, err := parse("claim.before_commit=kill:0.5, apply.*=sleep:250:1:3 ,tick.before_commit=stop", "7")
	require.NoError(t, err)
	require.Equal(t, []*fault{
		{name: "claim.before_commit", action: kill, probability: 0.5},
		{name: "apply.*", action: sleep, pause: 250 * time.Millisecond, probability: 1, nth: 3},
		{name: "tick.before_commit", action: stop, probability: 1},
	}, p.faults)
}

func TestParse_RefusesWhatItDoesNotUnderstand(t *testing.T) {
	t.Parallel()

	for _, text := range []string{"kill", "=kill", "a=die:1", "a=sleep", "a=sleep:soon", "a=kill:often", "a=kill:1:first", "a=kill:1:2:3"} {
		_, err := parse(text, "")
		require.Error(t, err, text)
	}
}

func TestHit_FiresAtTheNthHitOnly(t *testing.T) {
	t.Parallel()

	p, err := parse("apply.*=kill:1:3", "")
	require.NoError(t, err)
	var fired []int
	for i := range 6 {
		if _, fires := p.hit([]string{"apply.before_commit", "apply.after_commit"}[i%2]); fires {
			fired = append(fired, i)
		}
		_, other := p.hit("claim.before_commit")
		require.False(t, other)
	}
	require.Equal(t, []int{2}, fired)
}

func TestHit_SameSeedSameFaults(t *testing.T) {
	t.Parallel()

	series := func(seed string) (fired []bool) {
		p, err := parse("a=panic:0.5", seed)
		require.NoError(t, err)
		for range 64 {
			_, fires := p.hit("a")
			fired = append(fired, fires)
		}
		return fired
	}
	require.Equal(t, series("1"), series("1"))
	require.NotEqual(t, series("1"), series("2"))
}
