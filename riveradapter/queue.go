package riveradapter

import (
	"time"

	"github.com/riverqueue/river"
)

// Queue configures a River queue for squidmesh's work: at most maxWorkers steps of this process at a time.
//
// River fetches at most maxWorkers jobs in each cooldown. Its default cooldown of 100 ms would limit 50 workers to 500 jobs a
// second, so this one is shorter. The poll finds jobs that no notification announced: those that a transaction of the caller's own
// committed without a Wake, and all jobs if the database connection cannot listen.
func Queue(maxWorkers int) river.QueueConfig {
	return river.QueueConfig{
		FetchCooldown:     10 * time.Millisecond,
		FetchPollInterval: 500 * time.Millisecond,
		MaxWorkers:        maxWorkers,
	}
}
