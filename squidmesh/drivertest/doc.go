// Package drivertest has the suites that stores and executors must pass: the contracts of package driver, as tests.
//
// [ExerciseStore] takes a function that opens a store on an empty, migrated database. [ExerciseExecutor] takes one that makes an executor
// with what a test must know of its queue ([ExecutorBundle]). Optional interfaces are tested if they are implemented. The stores and
// executors of this module pass the same suites. Tests of workflows stand on package squidmeshtest.
package drivertest
