package squidmesh

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/schedule"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

func TestTriggerState_FiresByPolicy(t *testing.T) {
	t.Parallel()
	hourly, nine := "0 * * * *", instantOf(t, "2026-03-02T09:00:00Z")
	for name, tc := range map[string]struct {
		expression string
		missed     Missed
		catchUp    int
		late       time.Duration // after the window of nine o'clock, the first that is due
		want       string        // f fires, s is skipped
	}{
		"on time":                         {hourly, MissedSkip, 0, time.Second, "f"},
		"a restart":                       {hourly, MissedSkip, 0, 50 * time.Second, "f"},
		"skip":                            {hourly, MissedSkip, 0, 2 * time.Minute, "s"},
		"skip a day":                      {hourly, MissedSkip, 0, 23*time.Hour + time.Minute + time.Second, "s"},
		"skip a day but not the last":     {hourly, MissedSkip, 0, 24 * time.Hour, "sf"},
		"latest":                          {hourly, MissedLatest, 0, 2 * time.Minute, "f"},
		"latest of a day":                 {hourly, MissedLatest, 0, 24 * time.Hour, "sf"},
		"catch up with all":               {hourly, MissedCatchUp, 10, 3 * time.Hour, "ffff"},
		"catch up with some":              {hourly, MissedCatchUp, 3, 24 * time.Hour, "sfff"},
		"every second, a tick late":       {"@every 1s", MissedLatest, 0, 2 * time.Second, "fff"},
		"every second, after a minute":    {"@every 1s", MissedLatest, 0, time.Minute, "sffffff"},
		"every second, skip, after a day": {"@every 1s", MissedSkip, 0, 24 * time.Hour, "sffffff"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := schedule.New(tc.expression, "")
			require.NoError(t, err)
			row := flow.TriggerState{TriggerKey: flow.TriggerKey{Workflow: "w", Trigger: "t"}, Missed: tc.missed, CatchUp: tc.catchUp, NextAt: nine}
			now := nine.Add(tc.late)
			fires, next := firesDue(row, s, now)
			got := ""
			for i, f := range fires {
				got += map[flow.FireState]string{flow.FirePending: "f", flow.FireSkipped: "s"}[f.State]
				require.Equal(t, f.State == flow.FirePending, !f.LookAt.IsZero())
				if i > 0 {
					require.Equal(t, fires[i-1].WindowEnd, f.WindowAt)
				}
			}
			require.Equal(t, tc.want, got)
			require.True(t, next.After(now))
			require.Equal(t, fires[len(fires)-1].WindowEnd, next)
		})
	}
}

func instantOf(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	require.NoError(t, err)
	return at
}
