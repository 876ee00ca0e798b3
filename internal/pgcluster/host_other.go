//go:build !unix

package pgcluster

import (
	"errors"
	"os/exec"
)

// The server's user and process group are a matter of Unix; elsewhere this merely compiles.

type credential struct{}

func serverUser() *credential { return nil }

func lend(string, *credential) error { return errors.New("a cluster of our own needs Unix") }

func runAs(*exec.Cmd, *credential) {}
