//go:build !unix

package main

import (
	"os"
	"os/exec"
	"syscall"
)

// The soak needs signals that only Unix has; elsewhere it merely compiles.

const (
	freezeSignal = syscall.Signal(0)
	thawSignal   = syscall.Signal(0)
)

func apart(*exec.Cmd) {}

func endedBy(*os.ProcessState, syscall.Signal) bool { return false }
