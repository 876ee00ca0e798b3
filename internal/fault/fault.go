// Package fault names the places at which the runtime can be made to die, to freeze or to dawdle, so that tests can do it
// exactly between two steps of a transaction.
//
// Without the build tag squidmesh_fault it is nothing: [Enabled] is a false constant and [Hit] an empty function, so the
// compiler drops both. With it, the environment variable SQUIDMESH_FAULTS says what happens where.
package fault
