//go:build squidmesh_fault

package fault

import (
	"fmt"
	"os"
	"syscall"
	"time"
)

// Enabled says whether the program was built with fault points.
const Enabled = true

// configured is what SQUIDMESH_FAULTS says. A mistake in it must not look like a system that survives everything.
var configured = func() *plan {
	p, err := parse(os.Getenv("SQUIDMESH_FAULTS"), os.Getenv("SQUIDMESH_FAULT_SEED"))
	if err != nil {
		fmt.Fprintf(os.Stderr, "fault: SQUIDMESH_FAULTS: %v\n", err)
		os.Exit(2)
	}
	return p
}()

// Hit passes a fault point, or does not survive it.
func Hit(name string) {
	if f, fires := configured.hit(name); fires {
		f.do(name)
	}
}

// do carries a fault out. What is about to happen is said on stderr first, in one write, for whoever watches the process.
func (f *fault) do(name string) {
	fmt.Fprintf(os.Stderr, "fault: %s at %s\n", f.action, name)
	switch f.action {
	case kill:
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // the signal is on its way
	case stop:
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	case raise:
		panic("fault: at " + name)
	case sleep:
		time.Sleep(f.pause)
	}
}
