package riveradapter

import (
	"context"
	"encoding/json"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

// sentBackKey is the metadata in which a worker notes that it was the runtime's answer that ended a try. Without the note it was
// something before the workers: middleware or a hook of the program's, which River does not tell apart from a worker.
const sentBackKey = "squidmesh_sent_back"

// sentBack is the note.
type sentBack struct {
	// TriedAt says which try: River's time of its fetch.
	TriedAt time.Time `json:"tried_at"`

	// BackAt is when the job is to come again, by the database's clock. Zero if it is not.
	BackAt time.Time `json:"back_at,omitzero"`

	// Reason is that of the outcome which says so.
	Reason string `json:"reason,omitzero"`

	// Times is how often the job came back by the runtime's answer, with this one.
	Times int `json:"times,omitzero"`
}

// note stores the note with the end of the try.
func (s sentBack) note(ctx context.Context) {
	_ = river.MetadataSet(ctx, sentBackKey, s) // fails only outside of River's workers
}

// sentBackOf finds the note on a job's last try.
func sentBackOf(job *rivertype.JobRow) (sentBack, bool) {
	s := lastNote(job)
	return s, job.AttemptedAt != nil && s.TriedAt.Equal(*job.AttemptedAt)
}

// lastNote is the note on the newest try that has one; the zero note if none has.
func lastNote(job *rivertype.JobRow) sentBack {
	var metadata struct {
		SentBack sentBack `json:"squidmesh_sent_back"`
	}
	if err := json.Unmarshal(job.Metadata, &metadata); err != nil {
		return sentBack{}
	}
	return metadata.SentBack
}

// minSkew is from where on a difference of clocks counts. What is less may as well be the time between fetch and work.
const minSkew = time.Second

// try is one handing out of a job.
type try struct {
	at    time.Time // by the database's clock
	began time.Time // by the host's
	times int       // how often the job has come back before
}

func tryOf(job *rivertype.JobRow) try {
	t := try{began: time.Now(), times: max(lastNote(job).Times, 0)}
	if t.at = t.began; job.AttemptedAt != nil {
		t.at = *job.AttemptedAt
	}
	return t
}

// skew is how far the host's clock is ahead of the database's; negative if it is behind. River schedules what comes again by the host's
// clock, and fetches it by the database's.
func (t try) skew() time.Duration {
	if skew := t.began.Sub(t.at); skew.Abs() >= minSkew {
		return skew
	}
	return 0
}

// comesBack notes that the job is to come again after a time, and why, and returns what River is to be told. A host that is further ahead
// than that time cannot say it: the tick sees by the note that the job lies too far ahead.
func (t try) comesBack(ctx context.Context, after time.Duration, reason string) time.Duration {
	sentBack{TriedAt: t.at, BackAt: t.at.Add(time.Since(t.began) + after), Reason: reason, Times: t.times + 1}.note(ctx)
	return riverDelay(after, t.skew())
}

// dropped notes that the job is not to come again.
func (t try) dropped(ctx context.Context) { sentBack{TriedAt: t.at}.note(ctx) }

// riverDelay is the delay by the host's clock that makes a job come again after a time of the database's.
func riverDelay(after, skew time.Duration) time.Duration { return max(after-skew, minSnooze) }
