package riveradapter

import (
	"time"

	"github.com/riverqueue/river"
)

// Queue configures a River queue for squidmesh's work: at most maxWorkers steps of this process at a time.
//
// River fetches at most maxWorkers jobs per cooldown, so its default of 100 ms would bound 50 workers to 500 jobs a
// second. The poll finds what no notification announced: jobs that a transaction of the caller's own committed without a
// Wake, and everything where the database connection cannot listen.
func Queue(maxWorkers int) river.QueueConfig {
	return river.QueueConfig{
		FetchCooldown:     10 * time.Millisecond,
		FetchPollInterval: 500 * time.Millisecond,
		MaxWorkers:        maxWorkers,
	}
}
