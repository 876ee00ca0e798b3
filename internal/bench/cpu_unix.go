//go:build unix

package main

import (
	"syscall"
	"time"
)

// clientCPU is the CPU time of this process so far.
func clientCPU() (time.Duration, bool) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0, false
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), true
}
