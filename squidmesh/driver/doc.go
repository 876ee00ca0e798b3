// Package driver is what authors of stores and executors implement.
//
// A [Store] keeps runs in a database: it locks, loads, applies and finds. An [Executor] hands runnable work to a queue, whose
// workers give each [Delivery] back to the runtime. Whatever else a store or an executor can do has an interface of its own, such
// as [Pipeliner] or [Prober]. The runtime finds it by a type assertion. Package drivertest has the suites that a store and an
// executor must pass.
package driver
