package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"sync"
	"time"

	"github.com/riverqueue/river"
)

// contender is something that can do runs of steps.
type contender interface {
	// run does one whole run. Many are called at once.
	run(ctx context.Context) error

	// steps is how many steps have been executed so far.
	steps() int64

	// meter counts what goes over the wire; nil if there is none.
	meter() *meter

	// close stops everything; work that is left is abandoned.
	close() error
}

// payload is 256 characters that no other run has.
func payload() string {
	var b [128]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// stopClient stops a River client, if need be by cancelling what it works on.
func stopClient[TTx any](client *river.Client[TTx]) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := client.Stop(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		err = client.StopAndCancel(ctx)
	}
	return err
}

// ends tells who waits for the end of something that it has ended, in whichever order they come.
type ends[K comparable] struct {
	mu      sync.Mutex
	waiting map[K]chan struct{}
	early   map[K]bool
}

// end says that it has happened.
func (e *ends[K]) end(key K) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if done, ok := e.waiting[key]; ok {
		delete(e.waiting, key)
		close(done)
		return
	}
	if e.early == nil {
		e.early = map[K]bool{}
	}
	e.early[key] = true
}

// wait returns when it has happened.
func (e *ends[K]) wait(ctx context.Context, key K) error {
	done := e.register(key)
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (e *ends[K]) register(key K) <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	done := make(chan struct{})
	if e.early[key] {
		delete(e.early, key)
		close(done)
		return done
	}
	if e.waiting == nil {
		e.waiting = map[K]chan struct{}{}
	}
	e.waiting[key] = done
	return done
}
