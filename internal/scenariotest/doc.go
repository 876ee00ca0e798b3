// Package scenariotest plays scenarios, with which this project says what exactly workflows do.
//
// A scenario is a script: commands, and below each block of them what they did, line by line. A [Driver] carries the commands out: on
// the pure core in memory ([NewCoreDriver]), on a runtime over a real store with a queue that the script turns by hand
// ([NewStoreDriver]), or on a whole program ([NewLiveDriver]). The same script prints the same text everywhere. See [Run] for the
// commands, and testdata/scenarios in the module's root for the scripts; package e2e plays them.
package scenariotest
