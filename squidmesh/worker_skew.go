package squidmesh

import (
	"time"
)

const (
	// maxSkew is the difference between the clocks of host and database from which on it is logged. Everything of the runtime's goes by the
	// database's clock; a queue may take times from hosts.
	maxSkew = time.Second

	// skewEvery is how often it is logged while it lasts.
	skewEvery = time.Hour
)

// skew is how far the host's clock was ahead of the database's, which said now between two readings of the host's; negative if it was
// behind. It is the least that the readings admit.
func skew(sent, now, got time.Time) time.Duration {
	switch {
	case now.Before(sent):
		return sent.Sub(now)
	case now.After(got):
		return got.Sub(now)
	default:
		return 0
	}
}

// noteSkew logs a difference of clocks, once and then rarely.
func (wk *worker[TTx]) noteSkew(svc *service, sent, now time.Time) {
	got := time.Now()
	by := skew(sent, now, got)
	if wk.config.ManualTick || by.Abs() <= maxSkew || !svc.skewLogged.IsZero() && got.Sub(svc.skewLogged) < skewEvery {
		return
	}
	svc.skewLogged = got
	wk.logger.Warn("squidmesh: this host's clock differs from the database's", "ahead", by.Round(time.Millisecond))
}
