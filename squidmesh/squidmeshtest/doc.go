// Package squidmeshtest tests workflows.
//
// A [Kit] runs workflows for a test: the real runtime, in memory or on the program's own database, on a clock that the test moves.
// A test starts a [Run], lets time pass, decides, and looks at the result. [Kit.On] injects failures by step and attempt.
// [CrashEverywhere] lets the process die around every commit of a story, and compares how the story ends.
//
// Package drivertest has the suites for stores and executors.
package squidmeshtest
