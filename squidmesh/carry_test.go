package squidmesh

import (
	"encoding/json"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// What is remembered of runs has bounds: in each, in all, and in their number. What goes over them is forgotten, and loaded again.
func TestCarrier_HasBounds(t *testing.T) {
	t.Parallel()

	remember := func(c *carrier, bytes int) RunID {
		run := Run{ID: uuid.New(), Status: RunRunning, Version: 1}
		memory := newCarried(make(json.RawMessage, bytes))
		memory.version = run.Version
		c.put(run, memory)
		c.put(run, memory) // again, as after each step
		return run.ID
	}
	var c carrier
	for range 2_000 {
		remember(&c, 60_000)
		require.LessOrEqual(t, c.bytes, maxCarriedAltogether)
	}
	require.Len(t, c.runs, maxCarriedAltogether/60_000)
	require.Equal(t, len(c.runs)*60_000, c.bytes)

	last := remember(&c, 60_000)
	require.True(t, c.take(last, 1).all)
	require.False(t, c.take(last, 1).all, "it was taken")
	tooLarge := remember(&c, maxCarriedBytes+1)
	require.False(t, c.take(tooLarge, 1).all)

	for range maxCarried + 10 {
		remember(&c, 1)
	}
	require.Len(t, c.runs, maxCarried)
	for id := range c.runs {
		c.take(id, 1)
	}
	require.Zero(t, c.bytes)
}
