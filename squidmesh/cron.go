package squidmesh

// cron fires the cron triggers of the registered workflows, and makes runs of fires. It owns no state and no lock: triggers and fires are rows,
// and who locks a trigger's row decides about it. The worker calls it when it registers and when a tick finds something due, Perform gives it
// cron deliveries, and operators fire and pause through it. It writes runs through the committer, within its own transactions.
type cron[TTx any] struct {
	*base[TTx]
	definitions *definitions[TTx]
	queue       *queue[TTx]
	teller      *teller
	committer   *committer[TTx]
}
