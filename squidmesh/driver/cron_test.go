package driver

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/check"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

func TestSignalID_IsTheOriginsDerivation(t *testing.T) {
	t.Parallel()
	w := Window{StartAt: instantOf(t, "2026-03-02T09:00:00Z"), EndAt: instantOf(t, "2026-03-02T10:00:00Z")}
	id := SignalID(flow.TriggerKey{Workflow: "digest", Trigger: "nightly"}, w)
	// Of "6:digest|7:nightly|20:2026-03-02T09:00:00Z|20:2026-03-02T10:00:00Z".
	require.Equal(t, "sha256:sSVC1R6m06XKGhF-ub_gDaGrsljIep4tn1Qz73cXVTQ", id)
	require.Equal(t, id, SignalID(flow.TriggerKey{Workflow: "digest", Trigger: "nightly"}, Window{w.StartAt.In(time.FixedZone("x", 3600)), w.EndAt}))
	require.NotEqual(t, id, SignalID(flow.TriggerKey{Workflow: "digestn", Trigger: "ightly"}, w))
}

func TestCronJob_DeliveryHasASignal(t *testing.T) {
	t.Parallel()
	start, end := instantOf(t, "2026-03-02T09:00:00Z"), instantOf(t, "2026-03-02T10:00:00Z")
	job := CronJob{Workflow: "digest", Trigger: "nightly", IntendedWindow: &Window{start, end}}
	require.Equal(t, SignalID(flow.TriggerKey{Workflow: "digest", Trigger: "nightly"}, Window{start, end}), job.Delivery().SignalID)
	job.SignalID = "mine"
	require.Equal(t, "mine", job.Delivery().SignalID)
	job.SignalID, job.IntendedWindow = "", &Window{StartAt: start}
	require.Empty(t, job.Delivery().SignalID, "half a window names the run itself")
	job.IntendedWindow = nil
	one, two := job.Delivery().SignalID, job.Delivery().SignalID
	require.NotEmpty(t, one)
	require.NotEqual(t, one, two, "each job is a run of its own")
	require.NoError(t, check.Line("SignalID", one, MaxSignal))
}

func instantOf(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	require.NoError(t, err)
	return at
}
