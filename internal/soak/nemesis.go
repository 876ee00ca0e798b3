package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/squidmesh/squidmesh-go/internal/pgcluster"
	"github.com/squidmesh/squidmesh-go/internal/wirecut"
)

// points are where processes die by themselves, with the hit before which each comes up, so that rare ones are reached and
// frequent ones do not kill everybody at once.
var points = map[string][]struct {
	name string
	hits int
}{
	"worker": {
		{"claim.before_enqueue", 120},
		{"claim.before_commit", 120},
		{"claim.after_commit", 120},
		{"execute.begin", 150},
		{"execute.end", 150},
		{"apply.before_enqueue", 100},
		{"apply.after_enqueue", 100},
		{"apply.before_commit", 100},
		{"apply.after_commit", 100},
		{"functx.after_body", 80},
		{"functx.before_commit", 80},
		{"functx.after_commit", 80},
		{"undo.before_enqueue", 15},
		{"undo.before_commit", 15},
		{"undo.after_commit", 15},
		{"takeover.before_commit", 3},
		{"takeover.after_commit", 3},
		{"takeover.after_enqueue", 3},
		{"tick.before_commit", 20},
		{"tick.after_commit", 20},
		{"redeliver.before_commit", 2},
		{"redeliver.after_commit", 2},
		{"release.before_commit", 2},
		{"release.after_commit", 2},
	},
	"client": {
		{"start.before_commit", 60},
		{"start.after_commit", 60},
		{"decision.before_enqueue", 20},
		{"decision.after_enqueue", 20},
		{"decision.before_commit", 20},
		{"decision.after_commit", 20},
	},
}

// faultPlan deals fault points to processes in turn, so that all of them come up.
type faultPlan struct {
	mu     sync.Mutex
	random *rand.Rand
	dealt  map[string]int
}

// next is what a new process gets: nothing for one in four, else a point at which it dies, or now and then freezes.
func (f *faultPlan) next(role string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	known := points[role]
	if len(known) == 0 || f.random.IntN(4) == 0 {
		return ""
	}
	p := known[(f.dealt[role]*7)%len(known)]
	f.dealt[role]++
	action := "kill"
	// Whoever freezes behind its work, and in front of its commit, comes back with an outcome that is not its own any more.
	if role == "worker" && f.random.IntN(map[bool]int{true: 2, false: 6}[strings.HasPrefix(p.name, "execute.")]) == 0 {
		action = "stop"
	}
	return fmt.Sprintf("%s=%s:1:%d", p.name, action, 1+f.random.IntN(p.hits))
}

// freeze is how long a process stays frozen: beyond the lease of four seconds.
func (f *faultPlan) freeze() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return 5*time.Second + time.Duration(f.random.IntN(3000))*time.Millisecond
}

// nemesis does things to the system, each at its own pace.
type nemesis struct {
	crew     *crew
	cluster  *pgcluster.Cluster
	proxy    *wirecut.Proxy
	admin    *pgxpool.Pool
	seed     uint64
	say      func(format string, args ...any)
	restarts int
	tasks    sync.WaitGroup
}

func (n *nemesis) run(ctx context.Context) {
	n.now(ctx, 1, 3*time.Second, func(r *rand.Rand) { n.crew.kill(n.crew.pick(r.IntN(1000), "")) })
	n.now(ctx, 2, 8*time.Second, func(r *rand.Rand) { n.crew.freeze(n.crew.pick(r.IntN(1000), "worker")) })
	n.now(ctx, 3, 1100*time.Millisecond, func(r *rand.Rand) { n.proxy.Arm(wirecut.Before + wirecut.Cut(r.IntN(3))) })
	n.now(ctx, 4, 4*time.Second, func(r *rand.Rand) { n.proxy.Drop(1 + r.IntN(3)) })
	n.now(ctx, 5, 6*time.Second, func(*rand.Rand) { n.terminate(ctx) })
	n.now(ctx, 6, 35*time.Second, func(r *rand.Rand) { n.restart(ctx, []string{"fast", "immediate"}[r.IntN(2)]) })
	n.now(ctx, 7, 7*time.Second, func(r *rand.Rand) { n.silence(r) })
	n.tasks.Wait()
	n.proxy.Arm(wirecut.None)
}

// now and then does something: after half to one and a half of the interval. Each thing has a chance of its own, so that one seed
// gives one series whatever the others do.
func (n *nemesis) now(ctx context.Context, stream uint64, interval time.Duration, do func(*rand.Rand)) {
	random := rand.New(rand.NewPCG(n.seed, stream))
	n.tasks.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(interval/2 + time.Duration(random.Int64N(int64(interval)))):
				do(random)
			}
		}
	})
}

// silence has connections die without a word, a few or all that there are, in one direction or both.
func (n *nemesis) silence(r *rand.Rand) {
	s := wirecut.Silence{Way: wirecut.Way(r.IntN(wirecut.Ways)), Idle: r.IntN(3) == 0}
	if r.IntN(4) > 0 {
		s.Most = 1 + r.IntN(8)
	}
	n.say("silence %+v: %d connections", s, n.proxy.Silence(s))
}

// terminate ends sessions as an administrator would.
func (n *nemesis) terminate(ctx context.Context) {
	_, _ = n.admin.Exec(ctx, `select pg_terminate_backend(pid) from pg_stat_activity
		where application_name like 'soak-%' order by random() limit 2`)
}

func (n *nemesis) restart(ctx context.Context, mode string) {
	n.say("restart PostgreSQL, %s", mode)
	if err := n.cluster.Restart(context.WithoutCancel(ctx), mode); err != nil {
		n.say("%v", err)
		return
	}
	n.restarts++
}
