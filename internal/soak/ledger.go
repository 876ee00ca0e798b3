package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// entry is what a process noted outside the database, where no rollback reaches.
type entry struct {
	Kind     string    `json:"kind"`
	At       time.Time `json:"at"`
	Process  string    `json:"process"`
	Run      string    `json:"run"`
	Workflow string    `json:"workflow,omitempty"`
	Step     string    `json:"step,omitempty"`
	Phase    string    `json:"phase,omitempty"`
	Attempt  int       `json:"attempt,omitempty"`
	Key      string    `json:"key,omitempty"`   // of an effect's idempotency, or of a start
	Actor    string    `json:"actor,omitempty"` // of a decision
	Note     string    `json:"note,omitempty"`
}

// Kinds of entries.
const (
	noteBegin     = "begin"     // an external effect begins
	noteEnd       = "end"       // and has happened
	noteStarted   = "started"   // a client was told that a run exists
	noteDecided   = "decided"   // a client was told that its decision stands
	noteCancelled = "cancelled" // a client was told that a run is or will be cancelled
	noteWrong     = "wrong"     // a step was given what it should not have been given
)

// ledger is a file that a process only appends to. An entry is one write, so it survives the process in whole or not at all.
type ledger struct {
	process string
	file    *os.File
}

func openLedger(process, path string) (*ledger, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	return &ledger{process: process, file: file}, nil
}

// note writes an entry. A ledger that cannot be written proves nothing, so that ends the process.
func (l *ledger) note(e entry) {
	e.At, e.Process = time.Now(), l.process
	line, err := json.Marshal(e)
	if err == nil {
		_, err = l.file.Write(append(line, '\n'))
	}
	if err != nil {
		panic(fmt.Sprintf("soak: write ledger: %v", err))
	}
}

// readLedgers reads what all processes noted.
func readLedgers(pattern string) ([]entry, error) {
	paths, err := filepath.Glob(pattern)
	if err != nil {
		return nil, err
	}
	var all []entry
	for _, path := range paths {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		lines := bufio.NewScanner(file)
		for lines.Scan() {
			var e entry
			if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			all = append(all, e)
		}
		if err := lines.Err(); err != nil {
			return nil, err
		}
		file.Close()
	}
	return all, nil
}
