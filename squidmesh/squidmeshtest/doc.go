// Package squidmeshtest has what workflows, stores and executors are tested with.
//
// # Scenarios
//
// A scenario is a script: commands, and below each block of them what they did, line by line. A [Driver] carries the commands out: on
// the pure core in memory ([NewCoreDriver]), or on a runtime over a real store with a queue that the script turns by hand
// ([NewStoreDriver]). The same script prints the same text everywhere. See [RunScenarios] for the commands, and
// testdata/scenarios in the module's root for many examples.
package squidmeshtest
