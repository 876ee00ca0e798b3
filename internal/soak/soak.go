package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/squidmesh/squidmesh-go/internal/pgcluster"
	"github.com/squidmesh/squidmesh-go/internal/wirecut"
	"github.com/squidmesh/squidmesh-go/migrations"
)

// soak is the orchestrator.
type soak struct {
	options
	dir     string
	began   time.Time
	cluster *pgcluster.Cluster
	proxy   *wirecut.Proxy
	admin   *pgxpool.Pool // past the proxy
	crew    *crew
	nemesis *nemesis
}

// runSoak breaks, heals, drains and verifies.
func runSoak(ctx context.Context, o options) (err error) {
	s := &soak{options: o, began: time.Now()}
	if s.dir, err = os.MkdirTemp("/tmp", "soak."); err != nil { // a short path, for the server's socket
		return err
	}
	fmt.Fprintf(os.Stderr, "soak: seed %d, %s, in %s\n", s.seed, s.duration, s.dir)
	defer func() {
		if s.keep || err != nil {
			fmt.Fprintf(os.Stderr, "soak: kept %s\n", s.dir)
			return
		}
		_ = os.RemoveAll(s.dir)
	}()
	if err := s.open(ctx); err != nil {
		return errors.Join(err, s.close())
	}
	defer func() { err = errors.Join(err, s.close()) }()

	if err := s.breakThings(ctx); err != nil {
		return err
	}
	return s.judge(ctx)
}

func (s *soak) tell(format string, args ...any) {
	if s.verbose {
		fmt.Fprintf(os.Stderr, "%6.1fs "+format+"\n", append([]any{time.Since(s.began).Seconds()}, args...)...)
	}
}

// open starts the database, the proxy, and makes the tables.
func (s *soak) open(ctx context.Context) (err error) {
	base := filepath.Join(s.dir, "postgres")
	if err := os.Mkdir(base, 0o700); err != nil {
		return err
	}
	if err := os.Chmod(s.dir, 0o755); err != nil {
		return err
	}
	if s.cluster, err = pgcluster.New(ctx, base, pgcluster.Options{Fsync: s.fsync}); err != nil {
		return err
	}
	if s.proxy, err = wirecut.New(s.cluster.Address()); err != nil {
		return err
	}
	if s.admin, err = pgxpool.New(ctx, s.databaseURL(s.cluster.Address())); err != nil {
		return err
	}
	if err := migrations.UpAllPostgres(ctx, s.admin, nil); err != nil {
		return err
	}
	_, err = s.admin.Exec(ctx, `create table soak_effect (run_id text, step text, phase text, attempt integer, key text)`)
	faults := &faultPlan{random: rand.New(rand.NewPCG(s.seed, 0)), dealt: map[string]int{}}
	s.crew = &crew{
		options: s.options, database: s.databaseURL(s.proxy.Address()), dir: s.dir, faults: faults, say: s.tell,
		slots: map[string]*process{}, points: map[string]int{},
	}
	s.nemesis = &nemesis{crew: s.crew, cluster: s.cluster, proxy: s.proxy, admin: s.admin, seed: s.seed, say: s.tell}
	return err
}

func (s *soak) databaseURL(address string) string {
	return s.cluster.URLBy(address, "postgres") + "&connect_timeout=5"
}

func (s *soak) close() error {
	var problems []error
	if s.crew != nil {
		s.crew.heal()
	}
	if s.admin != nil {
		s.admin.Close()
	}
	if s.proxy != nil {
		problems = append(problems, s.proxy.Close())
	}
	if s.cluster != nil {
		problems = append(problems, s.cluster.Stop(context.Background()))
	}
	return errors.Join(problems...)
}

// breakThings runs the system under load and the nemesis for the given time, and leaves it healed and drained.
func (s *soak) breakThings(ctx context.Context) error {
	for i := range s.workers {
		if err := s.crew.spawn(fmt.Sprintf("worker%d", i), "worker", s.crew.faults.next("worker")); err != nil {
			return err
		}
	}
	for i := range s.clients {
		if err := s.crew.spawn(fmt.Sprintf("client%d", i), "client", s.crew.faults.next("client")); err != nil {
			return err
		}
	}
	during, cancel := context.WithTimeout(ctx, s.duration)
	defer cancel()
	s.nemesis.run(during)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}

	s.tell("heal")
	s.crew.heal()
	for i := range s.workers {
		if err := s.crew.spawn(fmt.Sprintf("worker%d", i), "worker", ""); err != nil {
			return err
		}
	}
	if err := s.crew.spawn("client0", "drain", ""); err != nil {
		return err
	}
	return s.drainRuns(ctx)
}

// drainRuns waits until every run that was started by now has ended, or until time is up.
func (s *soak) drainRuns(ctx context.Context) error {
	healed, deadline := time.Now(), time.Now().Add(s.drain)
	for time.Now().Before(deadline) {
		var active int
		err := s.admin.QueryRow(ctx, `select count(*) from squidmesh_run
			where status not in ('completed', 'failed', 'cancelled') and created_at < $1`, healed).Scan(&active)
		if err == nil && active == 0 {
			s.tell("drained in %s", time.Since(healed).Round(time.Millisecond))
			return nil
		}
		s.tell("%d runs are active, %v", active, err)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(500 * time.Millisecond):
		}
	}
	return nil // what is left is counted as stuck
}
