//go:build !squidmesh_fault

package fault

// Enabled says whether the program was built with fault points.
const Enabled = false

// Hit passes a fault point.
func Hit(string) {}
