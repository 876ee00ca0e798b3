package squidmesh

import (
	"context"
	"log/slog"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/text"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// teller tells the program's observer what happened, as far as it may see it. It owns nothing and has no lock: it is called from many
// goroutines, by the committer and the cron after their commits, by Perform after an answer, and by the tick for what callers committed.
type teller struct {
	observer Observer // nil if nobody listens
	redact   redactor
	logger   *slog.Logger
}

// observe tells the observer of a member's transition.
func (t *teller) observe(m *member) {
	if t.observer == nil {
		return
	}
	c := m.c
	o := Observation{
		Run: c.Run, Before: c.run.Status, Entry: c.Audit[0], Data: c.Data, Jobs: c.jobs, Job: m.job,
		Measures: Measures{Queued: c.Queued, Ran: c.Ran, Function: m.took, Commit: time.Since(m.asked)},
	}
	if o.Entry.Kind == flow.AuditRetried && len(o.Data.Reached) > 0 && o.Data.Reached[0].DueAt != nil {
		o.Measures.Delay = max(o.Data.Reached[0].DueAt.Sub(o.Entry.At), 0)
	}
	t.tell(m.ctx, o)
}

// tell shows the observer what it may see.
func (t *teller) tell(ctx context.Context, o Observation) {
	o.Run.Payload, o.Entry.Data, o.Entry.Output, o.Data.Metadata = nil, nil, nil, nil
	o.Run.Reason, o.Data = t.redact.failure(o.Run.Reason), o.Data.Reword(t.redact.reword)
	defer t.observerPanicked()
	t.observer.Observe(context.WithoutCancel(ctx), o)
}

func (t *teller) observeDelivery(ctx context.Context, o DeliveryObservation) {
	if observer, ok := t.observer.(DeliveryObserver); ok {
		defer t.observerPanicked()
		observer.ObserveDelivery(context.WithoutCancel(ctx), o)
	}
}

func (t *teller) observeFires(ctx context.Context, fires ...flow.Fire) {
	observer, ok := t.observer.(FireObserver)
	if !ok {
		return
	}
	defer t.observerPanicked()
	for _, f := range fires {
		f.Comment = t.redact.text("comment", f.Comment)
		observer.ObserveFire(context.WithoutCancel(ctx), f)
	}
}

// observerPanicked keeps a panic of the observer from the work that it observes. To be deferred.
func (t *teller) observerPanicked() {
	if r := recover(); r != nil {
		t.logger.Error("squidmesh: observer panicked", "panic", text.Print(r))
	}
}
