// Package lever lets a benchmark switch optimizations of the runtime off one by one, to show what each is worth. It does so only in
// programs that are built with the tag squidmesh_lever; in all others nothing can be switched off and nothing is asked.
package lever

// The levers.
const (
	Batch    = "batch"    // commit the events of many runs together
	Carry    = "carry"    // remember what was committed last instead of loading it
	Pipeline = "pipeline" // BEGIN with the first statements, writes with COMMIT
	Narrow   = "narrow"   // write continued steps by a statement of their own
)

// All lists them.
var All = []string{Batch, Carry, Pipeline, Narrow}
