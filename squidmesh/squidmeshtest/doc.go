// Package squidmeshtest has what workflows are tested with.
//
// # Workflows
//
// A [Kit] runs workflows for a test: the real runtime, in memory or on the program's own database, on a clock that the test moves. A test
// starts a [Run], lets time pass, decides, and looks at what came of it. [Kit.On] injects failures, by step and attempt;
// [CrashEverywhere] lets the process die around every commit of a story and compares what it comes to.
//
// Package drivertest has the suites for stores and executors.
//
// # Scenarios
//
// A scenario is a script: commands, and below each block of them what they did, line by line. A [Driver] carries the commands out: on
// the pure core in memory ([NewCoreDriver]), or on a runtime over a real store with a queue that the script turns by hand
// ([NewStoreDriver]). The same script prints the same text everywhere. See [RunScenarios] for the commands, and
// testdata/scenarios in the module's root for many examples.
package squidmeshtest
