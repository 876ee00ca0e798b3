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

// readBack finds out whether a transition whose COMMIT broke was written: its audit entry then stands in the run's history. It
// asks until it knows if it must, as a claim or an outcome must, else a few times.
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

// doubt notes that a start's COMMIT broke and was not found to have taken effect. A row that nobody has inserted yet cannot be locked,
// so the server may be at work on the COMMIT still; the lock of an existing run waits for that, which leaves no doubt.
func (m *member) doubt() {
	if m.start != nil {
		c := m.c
		m.doubtful = &c
	}
}

// dispelDoubt finds that a start which was repeated met the run of its own first COMMIT.
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
