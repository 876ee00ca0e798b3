//go:build !unix

package main

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// The soak needs signals that only Unix has; elsewhere it merely compiles.

const (
	freezeSignal = syscall.Signal(0)
	thawSignal   = syscall.Signal(0)
)

type credential struct{}

func serverUser() *credential { return nil }

func lend(string, *credential) error { return errors.New("the soak needs Unix") }

func apart(*exec.Cmd, *credential) {}

func killed(*os.ProcessState) bool { return false }
