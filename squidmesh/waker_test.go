package squidmesh

import (
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
