package flow

import (
	"time"
)

// JobState is what a queue knows about a job. Its times are those of the database's clock.
type JobState struct {
	// State is the queue's own word, such as "available" or "discarded".
	State string `json:"state"`

	// Queue is the queue that the job is in. Empty means unknown.
	Queue string `json:"queue,omitzero"`

	// Deliverable says that the queue will still hand the job out, or has just handed it out.
	Deliverable bool `json:"deliverable"`

	// At is when the queue will hand the job out if that is in the future, as for a job that was sent back. Zero means now, or
	// unknown.
	At time.Time `json:"at,omitzero"`

	// TriedAt is when the queue last handed the job out. Zero means never, or unknown.
	TriedAt time.Time `json:"tried_at,omitzero"`

	// BackAt is when the runtime asked for the job to come again, if that answer ended the last try. If TriedAt is set and BackAt
	// is not, that try did not reach the runtime, or its process died.
	BackAt time.Time `json:"back_at,omitzero"`

	// BackFor is the reason that the runtime gave for BackAt, as in [Outcome]. Empty means unknown.
	BackFor string `json:"back_for,omitzero"`

	// Refusal says what kept the last try from the runtime, as a clause: "your middleware returned: no". Empty means that nothing
	// is known to have.
	Refusal string `json:"refusal,omitzero"`

	// Retryable says that the queue could hand the job out at once. See [driver.Retrier].
	Retryable bool `json:"retryable,omitzero"`

	// Paused says that the job's queue is paused.
	Paused bool `json:"paused,omitzero"`

	// Unattended says that no process has worked the job's queue lately.
	Unattended bool `json:"unattended,omitzero"`

	// Ahead is how many jobs the queue would hand out first. ProbeJobs leaves it zero; see [driver.LineProber].
	Ahead int `json:"ahead,omitzero"`
}

const (
	// A delivery that was refused before it got to the runtime is tried again after an eighth of the time that it is late by then, so
	// that the delay grows with the trouble: at least after leastPatience, at most after mostPatience.
	patienceShare = 8
	leastPatience = 500 * time.Millisecond
	mostPatience  = 30 * time.Second

	// One that came to a program of another store is tried again after a quarter of the time for which its own program has missed it by
	// then, with the same bounds: that program does not wait as long as the other one thinks fit.
	foreignShare = 4

	// nearEnough is how much later than it should a job may come back by itself, without being told to.
	nearEnough = time.Second

	// strayed is how far ahead a job may lie that is due and was not tried yet. Queues take times from hosts, whose clocks differ.
	strayed = 35 * time.Second
)

// comesBack is when a job that was handed out, and that nothing came of, should come again for a row that was due at a time.
func (j JobState) comesBack(due time.Time) time.Time {
	switch {
	case j.BackFor == DeliveryForeign:
		if again := j.TriedAt.Add(patience(j.TriedAt.Sub(due) / foreignShare)); again.Before(j.BackAt) {
			return again
		}
		return j.BackAt
	case !j.BackAt.IsZero():
		return j.BackAt
	default:
		return j.TriedAt.Add(patience(j.TriedAt.Sub(due) / patienceShare))
	}
}

func patience(d time.Duration) time.Duration { return min(max(d, leastPatience), mostPatience) }

// Fate says what to do about the job of a row that is due.
type Fate int

const (
	FateComes Fate = iota // nothing: the queue will hand it out
	FateRetry             // the queue is told to hand it out
	FateLost              // it is replaced
)

// Fate judges the job of a row that was due at a time. A job that was refused has its pause first, whatever the queue intends with
// it: some queues would wait for hours, others would never try again.
func (j JobState) Fate(due, now time.Time) Fate {
	lost := FateLost
	switch {
	case j.Retryable:
		lost = FateRetry
	case j.BackFor == DeliveryForeign && j.Deliverable:
		lost = FateComes // another job would not come sooner
	}
	switch back := j.comesBack(due); {
	case j.Deliverable && !j.At.After(now):
		return FateComes
	case j.TriedAt.IsZero():
		if j.Deliverable && j.At.Sub(now) <= strayed {
			return FateComes
		}
		return FateLost
	case back.After(now), j.Deliverable && j.At.Sub(back) <= nearEnough:
		return FateComes
	default:
		return lost
	}
}
