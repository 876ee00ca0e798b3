package squidmesh

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// Many wake-ups make one, at once, and one more for those that came meanwhile; even if an executor ends the goroutine that asks it.
func TestWaker_TellsOnceForMany(t *testing.T) {
	t.Parallel()

	for name, exit := range map[string]func(){"returns": func() {}, "exits": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				woken := map[time.Duration][]string{}
				w := &waker{notify: func(queues []string) {
					woken[time.Since(began)] = queues
					exit()
				}}
				w.wake("b", "a")
				synctest.Wait()
				for range 10 {
					w.wake("a")
				}
				time.Sleep(time.Second) // of the bubble's clock
				w.wake("c")
				time.Sleep(time.Second)
				synctest.Wait()
				require.Equal(t, map[time.Duration][]string{0: {"a", "b"}, wakeCooldown: {"a"}, time.Second: {"c"}}, woken)
			})
		})
	}
}

// Hushed, it has told what was to be told at once, and tells nothing that waits.
func TestWaker_IsHushed(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		var told []string
		slow := make(chan struct{})
		w := &waker{notify: func(queues []string) {
			<-slow
			told = append(told, queues...)
		}}
		require.NoError(t, w.drain(t.Context()), "there is nothing to wait for")
		before := w.later()
		w.wakeAfterCallersCommit("commit")
		w.wake("first")
		synctest.Wait()
		w.wake("second") // while it is telling

		ended, cancel := context.WithCancel(t.Context())
		cancel()
		w.hush()
		require.ErrorIs(t, w.drain(ended), context.Canceled)
		require.Empty(t, told)
		close(slow)
		require.NoError(t, w.drain(t.Context()))
		require.Equal(t, []string{"first", "second"}, told)
		before("before")
		time.Sleep(time.Minute)
		require.Len(t, told, 2)

		w.later()("after")
		require.NoError(t, w.drain(t.Context()))
		require.Equal(t, []string{"first", "second", "after"}, told, "it may be needed again")
	})
}
