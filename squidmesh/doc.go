// Package squidmesh is a durable workflow runtime that lives inside a Go program. The state of workflows is rows in the
// program's own database; runnable work is delivered by a job queue, for which River is the first choice.
//
// # Author
//
// A [Workflow] is a plain struct value. Its steps form a spine of routes: Next, OnError, and Routes of a [Choose]. A step with
// Parallel runs children at once. What a step does is ordinary Go: [Func] and [Effect], or [FuncTx] and [EffectTx] for functions
// that write to the program's own tables. There are also [Wait], [Log], [Pause] and [Approval]. A step reads the run's payload and
// the results of earlier steps by the JSON keys of its input type. [Compile] proves that every key will be there.
//
// If a step returns an error, its [Retry] policy says whether it is tried again. [Fail] makes an error final, [RetryAfter] sets the
// pause. After a final failure the run takes the step's OnError route. Without one the run fails, and completed steps are undone in
// reverse order by their Undo.
//
// # Run
//
// [New] makes a [Runtime] of a [Config]: a [driver.Store] (package pgstore or sqlitestore), a [driver.Executor] (package
// riveradapter) and the workflows. [Runtime.Start] makes the process a worker. [Runtime.StartRun] starts runs, and
// [Runtime.StartRunTx] starts them beside the program's own writes. The queue hands deliveries to [Runtime.Perform].
//
// # Operate
//
// [Runtime.ApproveRun], [Runtime.RejectRun] and [Runtime.UnblockRun] decide what waits for a person. [Runtime.CancelRun] ends a run,
// [Runtime.ReplayRun] starts another one like it, and [Runtime.RetryUndo] and [Runtime.AcceptUndo] go on after an undo that failed.
// [Runtime.ExplainRun] says why a run stands where it stands, and which of these commands it would accept.
//
// # Read
//
// [Runtime.InspectRun] reads a run with its history, [Runtime.ListRuns] lists runs, [Runtime.Output] reads a result, and
// [Runtime.AwaitRun] waits for the end. An [Observer] is told of each commit.
//
// # Keep
//
// [Runtime.PruneRuns] and [Config.Retention] delete old runs. A [Codec] such as a [Keyring] seals users' data, and [Runtime.SealRuns]
// what is stored already. [Runtime.CheckDeploy] tells before a deploy how runs of older definitions would fare.
//
// # What holds
//
//  1. One transaction per step. A step's result, its successors, their jobs and the audit entry commit together or not at all. So
//     do the writes of a FuncTx step's function, which therefore happen exactly once.
//  2. A function runs at least once. After a crash it may run again, under the same [IdempotencyKey].
//  3. One attempt at a time. Only the result of a step's current attempt counts (the fence). Any other result changes nothing,
//     however late it comes and whatever the queue delivers twice.
//  4. Nothing runs before it is due, and nothing after its run has ended.
//  5. An active run always has a live attempt, a delivery due or to come, or an open decision. If a process dies, others take its
//     attempts over once its lease has run out.
//  6. Undos come in reverse order of completion, one at a time, and only after every attempt of the run has ended.
//  7. The audit is append-only and numbered without gaps. Its times never go back.
//  8. Nothing repeats a function without a bound. Failures count towards Retry, and so does an end of a FuncTx step that the
//     database refuses for good. Attempts that die with their process wait ever longer and count towards MaxLosses. Attempts that
//     are given back (by Stop, a lost lease, a transaction that did not commit) begin again at once, then ever later, up to five
//     minutes; the twentieth time is a failure. Within an attempt a FuncTx body runs again at most five times, or, if the server's
//     time limits ended it, with growing pauses until the attempt's own time is up. Functions that ignore the end of their contexts
//     are abandoned, and a process with [Config.MaxAbandoned] abandoned calls of a step begins no more of them.
//     [Runtime.ExplainRun] tells how often a step was repeated, and until when it waits.
//
// Two things are not promised. Effects of a Func outside the database may happen more than once: give them the idempotency key. And
// runs do not survive what the database does not survive, such as a failover to a standby that had not received the last commits.
//
// # How it is built
//
// Four packages, each importing only those below it: squidmesh, driver, flow, jsontype. Package jsontype is JSON and its types. Package
// flow is the law: [flow.Decide] makes of a run, an event and the time a [flow.Transition], and knows nothing else. Package driver is
// what stores and executors implement. This package is the rest: a commit locks the run's row, loads the rows that [flow.ReadsOf] names,
// decides, enqueues and applies. Its files are named by wing: author, compile, run, commit, queue, perform, worker, cron, deploy, seal,
// observe. What belongs to no wing is the house. docs/architecture.md says what is in each file.
package squidmesh
