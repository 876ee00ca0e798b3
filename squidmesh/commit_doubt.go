package squidmesh

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
)

// errNotCommitted says that a COMMIT whose answer was lost did not take effect.
var errNotCommitted = errors.New("transaction did not take effect")

// readBack finds out whether a transition whose COMMIT broke was written: then its audit entry is in the run's history. It returns
// nil if it was, errNotCommitted if it was not, and the unknown error if it cannot tell. If it must know, as after a claim or the
// end of an attempt, it asks until ctx ends; otherwise a few times.
func (cm *committer[TTx]) readBack(ctx context.Context, c committed, unknown error, must bool) error {
	if c.Empty() {
		return nil
	}
	want := c.Audit[0]
	for try := 1; ; try++ {
		var found, known bool
		err := cm.inTx(ctx, func(ctx context.Context, tx TTx) error {
			// The server may be at work on the COMMIT still; the lock waits until it is done.
			if _, err := cm.store.Lock(ctx, tx, driver.LockQuery{Runs: []RunID{want.Run}}); err != nil {
				return err
			}
			history, err := cm.store.History(ctx, tx, want.Run)
			known = err == nil
			for _, e := range history.Audit {
				if e.Seq == want.Seq {
					found = e.Kind == want.Kind && e.StepKey == want.StepKey && e.Attempt == want.Attempt && e.At.Equal(want.At) &&
						bytes.Equal(compact(e.Data), compact(want.Data))
				}
			}
			return err
		})
		switch {
		case known && found:
			return nil
		case known:
			return fmt.Errorf("%w: %s", errNotCommitted, unknown.Error()) // text only: it is known now
		case !must && try >= commitAttempts || ctx.Err() != nil:
			return errors.Join(unknown, err)
		}
		if err := pause(ctx, backoff(try+4)); err != nil {
			return errors.Join(unknown, err)
		}
	}
}

// doubt notes that a start's COMMIT broke and was not found to have taken effect. The server may still be at work on it: nobody can
// lock a row that nobody has inserted. For an existing run there is no doubt, since readBack's lock waited for that COMMIT.
func (m *member) doubt() {
	if m.start != nil {
		c := m.c
		m.doubtful = &c
	}
}

// dispelDoubt recognises the run of a repeated start's own first COMMIT. The start then has the result of that one.
func (m *member) dispelDoubt() {
	if m.doubtful != nil && m.c.existing != nil && m.c.existing.ID == m.id {
		m.c = *m.doubtful
	}
}

func compact(data json.RawMessage) []byte {
	var b bytes.Buffer
	if json.Compact(&b, data) != nil {
		return data
	}
	return b.Bytes()
}
