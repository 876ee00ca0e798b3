package squidmesh

import (
	"time"
)

// Workflow is what an author writes: a plain value that [Compile] checks and turns into a [Spec].
//
// Steps form a spine: the first one is the entry, Next, OnError and Routes lead on, always forwards (no cycles), and each
// step is visited at most once. A step with Parallel is a block whose children run at once. A workflow whose top-level
// steps use After instead of routes is one such block as a whole.
//
// A Workflow is only read, never changed, so one value may serve several runtimes.
type Workflow struct {
	// Name is the workflow's stable identity in rows, jobs and logs: [a-z][a-z0-9_]*, at most 63 characters. To rename
	// a workflow, register it under both names until no run of the old one is left.
	Name string

	// Description is for readers: drawings and inspection show it. At most 4 KiB. It is not part of the shape.
	Description string

	// Triggers are the ways to start a run, at least one. The first manual one is the default of [StartParams.Trigger].
	Triggers []Trigger

	// Steps in the order in which a reader should meet them. The first one is the entry. A workflow has at most 1000, children of
	// blocks included.
	Steps []Step
}

// Trigger is one way to start a run, with its own payload contract. See [Manual] and [Cron].
type Trigger struct {
	// Name is unique in the workflow: [a-z][a-z0-9_]*, at most 63 characters.
	Name string

	// Cron is a five-field cron expression or a descriptor such as "@hourly" or "@every 90s". Empty makes the trigger
	// manual. A cron trigger may also be started by hand.
	Cron string

	// TimeZone is the IANA name of the zone in which Cron and [DefaultToday] are meant. Empty means UTC.
	TimeZone string

	// Payload is the contract of the run's input. The zero Contract accepts only the empty payload.
	Payload Contract

	// Missed says which windows fire late, after no process was there to fire them. Zero is [MissedLatest]. Only for cron
	// triggers, as are the fields below; like steps' policies they are not part of the shape.
	Missed Missed

	// CatchUp is how many missed windows fire under [MissedCatchUp], from 1 to 1000.
	CatchUp int

	// Overlap says what happens when the run of an earlier window has not ended. Zero is [OverlapAllow].
	Overlap Overlap

	byClock bool // made by Cron, so that an empty expression is a mistake
}

// Manual is a trigger that the program starts itself, with [Runtime.StartRun].
func Manual(name string, payload Contract) Trigger {
	return Trigger{Name: name, Payload: payload}
}

// Cron is a trigger that fires by the clock of a time zone ("" is UTC). Its payload is filled from defaults alone, so every
// required field needs one, and its dynamic defaults go by the window's time. Set the policies Missed and Overlap on the result, or
// write the [Trigger] as a literal.
//
// The expression is about the wall clock: on the nights of a clock change a time that is skipped fires once, at the change, and one
// that comes twice fires the first time only. "@every 1h" counts real time instead.
func Cron(name, expression, timeZone string, payload Contract) Trigger {
	return Trigger{Name: name, Cron: expression, TimeZone: timeZone, Payload: payload, byClock: true}
}

// Step is one entry of a workflow: something to do, a choice, a pause, or a block of children. Exactly one of Do and
// Parallel is set.
type Step struct {
	// Name is unique in the workflow, children of blocks included: [a-z][a-z0-9_]*, at most 63 characters. Functions
	// are bound to pinned runs by this name, so a renamed step strands the runs that wait for it.
	Name string

	// Description is for readers. At most 4 KiB. It is not part of the shape.
	Description string

	// Do is what the step does: [Func], [FuncTx], [Effect], [EffectTx], [Choose], [Wait], [Log], [Pause] or [Approval].
	Do Action

	// Parallel makes the step a block: its children start together, as far as After among them allows. The block
	// completes when all children have. After the first final failure unclaimed children are cancelled, running ones
	// are told to stop, and once none is live the block takes its OnError, or the run fails. Children have no routes,
	// no decisions and no blocks of their own.
	Parallel []Step

	// After names the siblings in the same block that must complete first.
	After []string

	// Next is the step that follows a success. Empty, or [Complete], completes the run.
	Next string

	// OnError is the step that follows a final failure. [Complete] completes the run; empty fails it. The target reads
	// nothing of the failed step's output; [Failure] tells it what failed. A routed failure undoes nothing.
	OnError string

	// Recovery marks what the OnError route is for. It is recorded in the audit and shown by inspection; it changes
	// nothing else.
	Recovery Recovery

	// Routes maps every answer of a [Choose] function to the step that follows it, or to [Complete].
	Routes map[string]string

	// Input selects the keys that the step reads. Needed only where the input type is opaque (a map, any,
	// json.RawMessage or a custom unmarshaler); a struct says it by itself.
	Input []string

	// Output is the key under which the result joins the run's data. Empty lets an object's own keys join, and then
	// none of them may exist already on a path to this step.
	Output string

	// Retry is the policy after a failed attempt. Zero means one attempt.
	Retry Retry

	// Timeout bounds one attempt. Zero means [DefaultTimeout]; it is always finite, at most 23 hours.
	//
	// The function has all of it. A [FuncTx] step first waits for its transaction, which its function's context does not count; but
	// an attempt that has not ended ten seconds past Timeout since its claim, that wait included, is recorded as timed out by
	// another tick, as nobody can tell a long wait from a process that is stuck. See that the pool has connections enough.
	//
	// Of a [Pause] or an [Approval] it is how long the decision may stay open; zero is for ever. Then the step fails with
	// [CodeDecisionExpired], and OnError says what follows. The time is set when the decision opens, and taken up within a
	// second or two after it, as long as any process runs. Until then a decision is still accepted.
	Timeout time.Duration

	// MaxLosses is how many processes may die while they execute the step, from 1 to 5, before it fails for good with
	// [CodeWorkerLost]. Zero means five. They are counted apart from the failures that Retry is about. With 1, a step whose process
	// died is not executed again; an OnError that leads to an [Approval] then asks somebody what became of it. An undo has five,
	// whatever is said here.
	MaxLosses int

	// Undo takes back what a completed Do did, when the run fails or is cancelled with Compensate. It reads what the
	// step read, and the step's own output.
	Undo Action

	// UndoRetry is the policy after a failed undo. Zero means the step's Retry, and if that is zero too, five attempts
	// from a second to a minute apart. An undo that is out of attempts waits for [Runtime.RetryUndo] or
	// [Runtime.AcceptUndo].
	UndoRetry Retry

	// UndoTimeout bounds one attempt of the undo. Zero means the step's Timeout.
	UndoTimeout time.Duration

	// Irreversible says that the step's effect cannot be taken back: a run that has started it is not replayed without
	// [ReplayParams.AllowIrreversible]. It excludes Undo.
	Irreversible bool

	// NotCompensatable says that nothing compensates the step's effect: replay asks as for Irreversible. It excludes
	// Undo and Irreversible.
	NotCompensatable bool

	// Queue is the queue that the step's deliveries go through. Empty means [Config.Queue].
	Queue string

	// Priority is the deliveries' priority from 1 (first) to 4. Zero means 1.
	Priority int
}

// DefaultTimeout bounds an attempt of a step that sets no Timeout.
const DefaultTimeout = 5 * time.Minute
