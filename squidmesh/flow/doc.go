// Package flow is the law of squidmesh: what a run is, and what each event makes of it.
//
// A [Spec] is a compiled workflow. A [Run] and its [StepState] rows are how one stands. [Decide] answers an [Event] with a [Transition]:
// whole rows, jobs to enqueue and one audit entry. [ReadsOf] names the rows that a decision needs, [Fold] rebuilds them from the audit, and
// [Explain] says why a run stands where it stands. [PredictDeploy] says how a run fares under a new version of the program.
//
// All of it are functions of their arguments. Nothing here knows a clock, a database, a context, a lock or a goroutine, and a test holds
// the package to that: it makes every rule provable by properties and replayable from scripts. The runtime of package squidmesh loads
// what a decision needs, and writes what it says.
package flow
