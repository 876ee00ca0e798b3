package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// closing is the line that a soak ends with.
type closing struct {
	DurationS      float64 `json:"duration_s"`
	Seed           uint64  `json:"seed"`
	Runs           int     `json:"runs"`
	Steps          int     `json:"steps"`
	Kills          int     `json:"kills"`
	Freezes        int     `json:"freezes"`
	PGRestarts     int     `json:"pg_restarts"`
	CommitCuts     int64   `json:"commit_cuts"`
	Silences       int64   `json:"silences"`
	CronWindows    int     `json:"cron_windows"`
	CronMissed     int     `json:"cron_missed"`
	CronDuplicated int     `json:"cron_duplicated"`
	Violations     int     `json:"violations"`
	Stuck          int     `json:"stuck"`
	DoubleEffects  int     `json:"double_effects"`
	Recoveries     int     `json:"recoveries"`
	RecoveryP50MS  int64   `json:"recovery_p50_ms"`
	RecoveryP99MS  int64   `json:"recovery_p99_ms"`
}

// maxFindings bounds what a failing soak prints.
const maxFindings = 60

// judge verifies and prints the closing line. Its error is the verdict.
func (s *soak) judge(ctx context.Context) error {
	found, err := s.verify(ctx)
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	s.crew.heal()
	for _, text := range s.crew.unexpected {
		found = append(found, finding{violated, text})
	}
	c := closing{
		DurationS: time.Since(s.began).Round(100 * time.Millisecond).Seconds(), Seed: s.seed,
		Kills: len(s.crew.deaths), Freezes: s.crew.freezes, PGRestarts: s.nemesis.restarts, CommitCuts: s.proxy.Cuts(),
		Silences: s.proxy.Silences(),
	}
	if c.CronWindows, c.CronMissed, c.CronDuplicated, err = cronFigures(ctx, s.admin); err != nil {
		return err
	}
	err = s.admin.QueryRow(ctx, `select (select count(*) from squidmesh_run),
		(select count(*) from squidmesh_event where kind in ('succeeded', 'approved', 'unblocked', 'undone'))`).Scan(&c.Runs, &c.Steps)
	if err != nil {
		return err
	}
	recoveries, err := s.recoveries(ctx)
	if err != nil {
		return err
	}
	c.Recoveries = len(recoveries)
	c.RecoveryP50MS, c.RecoveryP99MS = percentile(recoveries, 50).Milliseconds(), percentile(recoveries, 99).Milliseconds()
	for _, f := range found {
		switch f.kind {
		case violated:
			c.Violations++
		case stuck:
			c.Stuck++
		case doubled:
			c.DoubleEffects++
		}
	}
	s.print(found)
	line, err := json.Marshal(c)
	if err != nil {
		return err
	}
	fmt.Println(string(line))
	if len(found) > 0 || c.CronMissed+c.CronDuplicated > 0 {
		return fmt.Errorf("failed with seed %d", s.seed)
	}
	return nil
}

func (s *soak) print(found []finding) {
	for _, name := range slices.Sorted(maps.Keys(s.crew.points)) {
		s.tell("%4d x %s", s.crew.points[name], name)
	}
	for i, f := range found {
		if i == maxFindings {
			fmt.Fprintf(os.Stderr, "and %d more\n", len(found)-i)
			break
		}
		fmt.Fprintf(os.Stderr, "%s: %s\n", f.kind, f.what)
	}
}

// lossDelays are the pauses that the runtime makes on purpose after the first, second, ... lost attempt of a step.
var lossDelays = []time.Duration{0, time.Second, 4 * time.Second, 15 * time.Second}

// slowRecovery is more than it may take.
const slowRecovery = 6 * time.Second

// recoveries are the times from the kill of a process to the next claim of a step that it was running, without the runtime's
// deliberate pauses, and counted from when PostgreSQL was there.
func (s *soak) recoveries(ctx context.Context) ([]time.Duration, error) {
	at := map[string]time.Time{}
	for _, d := range s.crew.deaths {
		at[d.process] = d.at
	}
	rows, err := s.admin.Query(ctx, `select w.name, a.run_id::text, a.name || ' ' || a.phase || ' ' || a.attempt, e.at, (select count(*) from squidmesh_attempt b
			where b.run_id = a.run_id and b.name = a.name and b.phase = a.phase and b.outcome = 'lost' and b.attempt <= a.attempt)
		from squidmesh_attempt a
		join squidmesh_worker w on w.id = a.worker
		join squidmesh_event e on e.run_id = a.run_id and e.step = a.name and e.phase = a.phase and e.kind = 'claimed' and e.attempt = a.attempt + 1
		where a.outcome = 'lost'`)
	if err != nil {
		return nil, err
	}
	var (
		took               []time.Duration
		process, run, step string
		claimed            time.Time
		losses             int
	)
	_, err = pgx.ForEachRow(rows, []any{&process, &run, &step, &claimed, &losses}, func() error {
		died, ok := at[process]
		if !ok || claimed.Before(died) {
			return nil // it was frozen, or lost its lease in another way
		}
		recovery := claimed.Sub(s.cluster.Back(died, claimed)) - lossDelays[min(losses, len(lossDelays))-1]
		if took = append(took, max(recovery, 0)); recovery > slowRecovery {
			s.tell("%s of run %s was claimed %s after %s died, losses %d", step, run, recovery, process, losses)
		}
		return nil
	})
	slices.Sort(took)
	return took, err
}

// percentile of a sorted list.
func percentile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)*p/100, len(sorted)-1)]
}

func countWords(list string) map[string]int {
	words := map[string]int{}
	for word := range strings.SplitSeq(list, ",") {
		if word != "" {
			words[word]++
		}
	}
	return words
}
