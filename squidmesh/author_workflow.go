package squidmesh

import (
	"time"
)

// Workflow is a workflow as its author writes it: a plain value. [Compile] checks it and turns it into a [Spec].
//
// The first step is the entry. Next, OnError and Routes lead from a step to a later one. There are no cycles, and a run visits each
// step at most once. A step with Parallel is a block: its children run at once. If top-level steps use After instead of routes, the
// whole workflow is one such block.
//
// Runtimes only read a Workflow, so one value may serve several of them.
type Workflow struct {
	// Name identifies the workflow in rows, jobs and logs, so it must not change: [a-z][a-z0-9_]*, at most 63 characters. To rename
	// a workflow, register it under both names until no run of the old name is left.
	Name string

	// Description is for readers. Drawings and inspection show it. It has at most 4 KiB and is not part of the shape.
	Description string

	// Triggers are the ways to start a run. There is at least one. The first manual one is the default of [StartParams.Trigger].
	Triggers []Trigger

	// Steps stand in the order in which a reader should meet them. The first one is the entry. A workflow has at most 1000 steps,
	// children of blocks included.
	Steps []Step
}

// Trigger is one way to start a run. It has a payload contract of its own. See [Manual] and [Cron].
type Trigger struct {
	// Name is unique in the workflow: [a-z][a-z0-9_]*, at most 63 characters.
	Name string

	// Cron is a five-field cron expression or a descriptor such as "@hourly" or "@every 90s". Empty makes the trigger manual. A
	// program may start runs of a cron trigger by hand too.
	Cron string

	// TimeZone is the IANA name of the time zone of Cron and [DefaultToday]. Empty means UTC.
	TimeZone string

	// Payload is the contract of the run's input. The zero Contract accepts the empty payload only.
	Payload Contract

	// Missed says which windows fire late if no process was there to fire them in time. Zero is [MissedLatest]. This field and
	// those below are for cron triggers only. They are not part of the shape.
	Missed Missed

	// CatchUp is how many missed windows fire with [MissedCatchUp], from 1 to 1000.
	CatchUp int

	// Overlap says what happens if the run of an earlier window has not ended. Zero is [OverlapAllow].
	Overlap Overlap

	byClock bool // made by Cron, so that an empty expression is a mistake
}

// Manual makes a trigger that a program fires by [Runtime.StartRun].
func Manual(name string, payload Contract) Trigger {
	return Trigger{Name: name, Payload: payload}
}

// Cron makes a trigger that fires by the clock of a time zone; "" is UTC. Its payload comes from defaults alone, so every required
// field needs a default. Dynamic defaults go by the window's time. Set the policies Missed and Overlap on the result, or write the
// [Trigger] as a literal.
//
// The expression is about the wall clock. If a clock change skips a time, the trigger fires once, at the change. If a time comes
// twice, the trigger fires the first time only. "@every 1h" counts real time instead.
func Cron(name, expression, timeZone string, payload Contract) Trigger {
	return Trigger{Name: name, Cron: expression, TimeZone: timeZone, Payload: payload, byClock: true}
}

// Step is one entry of a workflow: something to do, a choice, a pause, or a block of children. It has either Do or Parallel.
type Step struct {
	// Name is unique in the workflow, children of blocks included: [a-z][a-z0-9_]*, at most 63 characters. A run that was started
	// with an older definition finds the step's function by this name. If you rename a step, such runs wait for it.
	Name string

	// Description is for readers. It has at most 4 KiB and is not part of the shape.
	Description string

	// Do is what the step does: [Func], [FuncTx], [Effect], [EffectTx], [Choose], [Wait], [Log], [Pause] or [Approval].
	Do Action

	// Parallel makes the step a block. Its children start together, as far as their After allows, and the block completes when all
	// children have. After the first final failure, unclaimed children are cancelled and running ones are told to stop. Once none
	// is at work, the block takes its OnError; without one the run fails. Children have no routes, decisions or blocks of their
	// own.
	Parallel []Step

	// After names the siblings in the same block that must complete first.
	After []string

	// Next is the step that follows a success. Empty or [Complete] completes the run.
	Next string

	// OnError is the step that follows a final failure. [Complete] completes the run; empty fails it. The step that follows reads
	// nothing of the failed step's output; [Failure] tells it what failed. A failure with a route undoes nothing.
	OnError string

	// Recovery says what the OnError route is for. The audit records it and inspection shows it. It changes nothing else.
	Recovery Recovery

	// Routes maps each answer of a [Choose] function to the step that follows, or to [Complete].
	Routes map[string]string

	// Input names the keys that the step reads. Only an opaque input type needs it: a map, any, json.RawMessage or a custom
	// unmarshaler. A struct names its keys by itself.
	Input []string

	// Output is the key under which the result joins the run's data. If it is empty, the keys of the result join by themselves; the
	// result must then be an object, and no step on a path to this one may have written one of these keys.
	Output string

	// Retry is the policy after a failed attempt. Zero means one attempt.
	Retry Retry

	// Timeout bounds one attempt. Zero means [DefaultTimeout]. It is always finite, at most 23 hours.
	//
	// The function has all of this time. A [FuncTx] step first waits for its transaction, and its function's context does not count
	// that wait. But nobody can tell a long wait from a process that is stuck. So if an attempt has not ended ten seconds after its
	// claim plus Timeout, another tick records a timeout. Give the pool enough connections.
	//
	// For a [Pause] or an [Approval], Timeout is how long the decision may stay open; zero is for ever. The time counts from the
	// opening of the decision. When it has passed, the step fails with [flow.CodeDecisionExpired] and takes its OnError. Any process
	// notices that within a second or two; until then a decision is still accepted.
	Timeout time.Duration

	// MaxLosses is how many processes may die while they execute the step, from 1 to 5. Then the step fails for good with
	// [flow.CodeWorkerLost]. Zero means five. These losses do not count towards Retry. With 1, no process executes the step again after
	// one died; an OnError that leads to an [Approval] then asks somebody what became of it. An undo always has five.
	MaxLosses int

	// Undo takes back what a completed Do did. It runs if the run fails, or is cancelled with Compensate. It reads what the step
	// read, and the step's own output.
	Undo Action

	// UndoRetry is the policy after a failed undo. Zero means the step's Retry; if that is zero too, it means five attempts with
	// pauses from a second to a minute. An undo that is out of attempts waits for [Runtime.RetryUndo] or [Runtime.AcceptUndo].
	UndoRetry Retry

	// UndoTimeout bounds one attempt of the undo. Zero means the step's Timeout.
	UndoTimeout time.Duration

	// Irreversible says that nobody can take the step's effect back. A run that has started the step is replayed only with
	// [ReplayParams.AllowIrreversible]. A step with Irreversible has no Undo.
	Irreversible bool

	// NotCompensatable says that nothing compensates the step's effect. A replay needs [ReplayParams.AllowIrreversible] too. A step
	// with NotCompensatable has neither Undo nor Irreversible.
	NotCompensatable bool

	// Queue is the queue of the step's deliveries. Empty means [Config.Queue].
	Queue string

	// Priority is the priority of the step's deliveries, from 1 (first) to 4. Zero means 1.
	Priority int
}

// DefaultTimeout bounds an attempt of a step that sets no Timeout.
const DefaultTimeout = 5 * time.Minute
