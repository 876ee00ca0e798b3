//go:build squidmesh_lever

package lever

import (
	"fmt"
	"slices"
	"sync/atomic"
)

var switchedOff atomic.Value // of []string

// Off reports whether a lever is switched off.
func Off(lever string) bool {
	off, _ := switchedOff.Load().([]string)
	return slices.Contains(off, lever)
}

// Switch switches the named levers off, and all others on, from the next operation of each runtime on.
func Switch(off ...string) {
	for _, name := range off {
		if !slices.Contains(All, name) {
			panic(fmt.Sprintf("lever: there is no %q among %v", name, All))
		}
	}
	switchedOff.Store(off)
}
