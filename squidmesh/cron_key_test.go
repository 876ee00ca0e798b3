package squidmesh_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// callersKeysDoNotReachWindows: whoever may choose a key, as by an idempotency key that a service passes on, knows all that a window's
// signal is made of. He neither takes the place of its run nor keeps it from starting.
func callersKeysDoNotReachWindows[TTx any](b *cronBench[TTx]) {
	type body struct {
		Day string `json:"day,omitempty"`
	}
	rt := b.process(b.queue, digest(
		squidmesh.Cron("nightly", "0 7 * * *", "", squidmesh.Payload[body]()), squidmesh.Manual("by_hand", squidmesh.Payload[body]()),
	))
	signal := func(start string) string { // as documented nowhere, but easily read
		at, err := time.Parse(time.RFC3339, start)
		require.NoError(b, err)
		var parts []string
		for _, p := range []string{"digest", "nightly", at.Format(time.RFC3339Nano), at.AddDate(0, 0, 1).Format(time.RFC3339Nano)} {
			parts = append(parts, fmt.Sprintf("%d:%s", len(p), p))
		}
		sum := sha256.Sum256([]byte(strings.Join(parts, "|")))
		return "sha256:" + base64.RawURLEncoding.EncodeToString(sum[:])
	}
	start := func(params squidmesh.StartParams) squidmesh.RunID {
		params.Workflow = "digest"
		run, err := rt.StartRun(b.Context(), params)
		require.NoError(b, err)
		return run.ID
	}

	fired, ended := 0, squidmesh.RunID{}
	for day, squat := range []func(key string){
		func(key string) { start(squidmesh.StartParams{Trigger: "nightly", Key: key}) },
		func(key string) {
			start(squidmesh.StartParams{Trigger: "by_hand", Key: key, Payload: body{Day: "another payload"}})
		},
		func(key string) {
			require.NoError(b, b.store.InTx(b.Context(), func(ctx context.Context, tx TTx) error {
				_, err := rt.StartRunTx(ctx, tx, squidmesh.StartParams{Workflow: "digest", Trigger: "by_hand", Key: key})
				return err
			}))
		},
		func(key string) {
			ended = start(squidmesh.StartParams{Trigger: "by_hand"})
			_, err := rt.CancelRun(b.Context(), ended, squidmesh.CancelParams{})
			require.NoError(b, err)
			_, err = rt.ReplayRun(b.Context(), ended, squidmesh.ReplayParams{Key: key})
			require.NoError(b, err)
		},
	} {
		window := fmt.Sprintf("2026-03-%02dT07:00:00Z", 2+day)
		squat("cron:nightly:" + signal(window))
		b.at(window)
		due := b.tick(rt)
		require.Len(b, due, 1)
		require.Equal(b, signal(window), due[0].SignalID, "the test knows the signal")
		require.Equal(b, "fire_started", b.deliver(rt, due[0]).Reason)
		fired++
	}
	windows := 0
	for _, run := range b.runs(rt) {
		if !run.WindowAt.IsZero() {
			windows++
			require.Empty(b, run.Key, "of no caller's")
			in, err := rt.InspectRun(b.Context(), run.ID, &squidmesh.InspectOptions{History: true})
			require.NoError(b, err)
			require.Empty(b, in.Run.Key)
			require.NotContains(b, fmt.Sprintf("%+v", in), "\x1f")
		}
	}
	require.Equal(b, fired, windows)

	// Nor does anybody get there by writing what begins the keys of windows.
	for _, begins := range []string{"\x1f", "\x1fcron:nightly:" + signal("2026-03-07T07:00:00Z")} {
		_, err := rt.StartRun(b.Context(), squidmesh.StartParams{Workflow: "digest", Trigger: "by_hand", Key: begins})
		var bad *squidmesh.InputError
		require.ErrorAs(b, err, &bad)
		require.Equal(b, [2]string{"Key", "invalid_text"}, [2]string{bad.Field, bad.Code})
		_, err = rt.ReplayRun(b.Context(), ended, squidmesh.ReplayParams{Key: begins})
		require.ErrorAs(b, err, &bad)
		_, err = rt.ListRuns(b.Context(), squidmesh.ListParams{Key: begins})
		require.ErrorAs(b, err, &bad)
	}
}
