package wake_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/wake"
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
				w := &wake.Waker{Notify: func(queues []string) {
					woken[time.Since(began)] = queues
					exit()
				}}
				w.Wake("b", "a")
				synctest.Wait()
				for range 10 {
					w.Wake("a")
				}
				time.Sleep(time.Second) // of the bubble's clock
				w.Wake("c")
				time.Sleep(time.Second)
				synctest.Wait()
				require.Equal(t, map[time.Duration][]string{0: {"a", "b"}, wake.Cooldown: {"a"}, time.Second: {"c"}}, woken)
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
		w := &wake.Waker{Notify: func(queues []string) {
			<-slow
			told = append(told, queues...)
		}}
		require.NoError(t, w.Drain(t.Context()), "there is nothing to wait for")
		before := w.Later()
		w.AfterCallersCommit("commit")
		w.Wake("first")
		synctest.Wait()
		w.Wake("second") // while it is telling

		ended, cancel := context.WithCancel(t.Context())
		cancel()
		w.Hush()
		require.ErrorIs(t, w.Drain(ended), context.Canceled)
		require.Empty(t, told)
		close(slow)
		require.NoError(t, w.Drain(t.Context()))
		require.Equal(t, []string{"first", "second"}, told)
		before("before")
		time.Sleep(time.Minute)
		require.Len(t, told, 2)

		w.Later()("after")
		require.NoError(t, w.Drain(t.Context()))
		require.Equal(t, []string{"first", "second", "after"}, told, "it may be needed again")
	})
}
