// Package e2e proves the whole: it runs the scenario scripts on the core, on both stores and on River, and has the tests that
// need real connections, real queues and processes that die.
package e2e
