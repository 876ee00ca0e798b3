package riveradapter

import (
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
)

// The kinds of River jobs that an [Executor] inserts and [AddWorkers] works. River's leader discards stuck jobs of kinds that it
// does not know, so every client that may be elected should know these.
const (
	KindStep         = "squidmesh.step"
	KindCompensation = "squidmesh.compensation"
	KindCron         = "squidmesh.cron"
)

// StepArgs are the arguments of a job that delivers one attempt of a step.
type StepArgs struct{ deliveryArgs }

// CompensationArgs are the arguments of a job that delivers an undo, or a run's compensation as a whole.
type CompensationArgs struct{ deliveryArgs }

// CronArgs are the arguments of a job that delivers the start of a run by a cron trigger.
type CronArgs struct{ deliveryArgs }

// Kind is [KindStep].
func (StepArgs) Kind() string { return KindStep }

// Kind is [KindCompensation].
func (CompensationArgs) Kind() string { return KindCompensation }

// Kind is [KindCron].
func (CronArgs) Kind() string { return KindCron }

// deliveryArgs marshal to exactly their delivery.
type deliveryArgs struct {
	driver.Delivery
	timing timing // on the way in
	err    error  // on the way out: why the arguments are no delivery
}

// UnmarshalJSON never fails. River would retry a job whose arguments do not unmarshal; one that can never be read must
// reach the worker, which drops it with the reason.
func (a *deliveryArgs) UnmarshalJSON(data []byte) error {
	a.Delivery, a.err = driver.ParseDelivery(data)
	return nil
}

// Hooks attaches the insert hook to these kinds and no others.
func (deliveryArgs) Hooks() []rivertype.Hook { return []rivertype.Hook{&insertHook{}} }

func (a deliveryArgs) unwrap() deliveryArgs { return a }

func (StepArgs) delivers() driver.DeliveryKind         { return driver.DeliverStep }
func (CompensationArgs) delivers() driver.DeliveryKind { return driver.DeliverCompensation }
func (CronArgs) delivers() driver.DeliveryKind         { return driver.DeliverCron }

// jobArgs are what all three kinds have in common.
type jobArgs interface {
	river.JobArgs
	unwrap() deliveryArgs
	delivers() driver.DeliveryKind // the only kind of delivery that such a job may carry
}

var (
	_ jobArgs                = StepArgs{}
	_ jobArgs                = CompensationArgs{}
	_ jobArgs                = CronArgs{}
	_ river.JobArgsWithHooks = StepArgs{}
)
