package pgstore

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// indexed is a batch whose statements are planned without sequential scans.
//
// All statements of the hot path have an index for what they look up. But a connection plans a statement once, and a plan that was
// made while the tables were small reads them from end to end; it stays in use until the next autovacuum, by when a busy
// program may have written a million rows. The settings are taken back at the end of the batch, since the rest of the
// transaction may be the caller's. Both ways travel in the batch's own round trip.
//
// They are planned once for all values, as the plan by index is always right: planning anew was a third of what a lone step cost the
// server. Nor are they compiled (jit): a scan that cannot be avoided then looks expensive enough for that, which was seen to take two
// seconds for a statement of two milliseconds.
type indexed struct{ pgx.Batch }

// planned is the settings in one statement, of which every commit pays; unplanned is their end.
const planned = "select set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true), set_config('plan_cache_mode', 'force_generic_plan', true)"

// settingsOf are those of a pipelined transaction: planned, and how long it may be silent.
func settingsOf(silence time.Duration) string {
	return fmt.Sprintf("%s, set_config('idle_in_transaction_session_timeout', '%d', true)", planned, silence.Milliseconds())
}

var unplanned = []string{"set local enable_seqscan = default", "set local jit = default", "set local plan_cache_mode = default"}

func (b *indexed) add(sql string, args ...any) *pgx.QueuedQuery {
	if b.Len() == 0 {
		b.Queue(planned)
	}
	return b.Queue(sql, args...)
}

// send runs the batch and the callbacks of its statements. The first error ends both.
func (b *indexed) send(ctx context.Context, tx pgx.Tx) error {
	if b.Len() == 0 {
		return nil
	}
	if p, ok := tx.(*pipelined); ok {
		return p.send(ctx, b.QueuedQueries[1:]...) // the whole transaction has the settings
	}
	for _, setting := range unplanned {
		b.Queue(setting)
	}
	return tx.SendBatch(ctx, &b.Batch).Close()
}

// sendLast is send for statements whose answers nobody needs before the commit. A pipelined transaction holds them back until
// then: they must refuse by themselves, on the server, what must not be committed.
func (b *indexed) sendLast(ctx context.Context, tx pgx.Tx) error {
	if p, ok := tx.(*pipelined); ok && b.Len() > 0 {
		p.held = append(p.held, b.QueuedQueries[1:]...)
		return nil
	}
	return b.send(ctx, tx)
}
