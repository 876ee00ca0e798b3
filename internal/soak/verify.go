package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/squidmesh/squidmesh-go/invariants"
)

// finding is something that must not be.
type finding struct{ kind, what string }

// Kinds of findings, as the closing line counts them.
const (
	violated = "violation"
	stuck    = "stuck"
	doubled  = "double effect"
)

// step is a row of a step with what its definition says it is.
type step struct {
	Run, Workflow, Name, Phase, Status, Kind string
	Attempt, Effects                         int
	By                                       int       // the attempt that wrote the effect
	DoneAt                                   time.Time // of the checkpoint
}

// verify compares the database with itself, with the application's table and with the ledgers.
func (s *soak) verify(ctx context.Context) ([]finding, error) {
	var found []finding
	violations, err := invariants.CheckPostgres(ctx, s.admin, &invariants.Options{Grace: 15 * time.Second})
	if err != nil {
		return nil, err
	}
	for _, v := range violations {
		found = append(found, finding{violated, v.String()})
	}
	idle, err := s.stuckRuns(ctx)
	if err != nil {
		return nil, err
	}
	found = append(found, idle...)
	steps, err := s.steps(ctx)
	if err != nil {
		return nil, err
	}
	found = append(found, transactional(steps)...)
	notes, err := readLedgers(filepath.Join(s.dir, "*.ledger"))
	if err != nil {
		return nil, err
	}
	found = append(found, external(steps, notes)...)
	acked, err := s.acknowledged(ctx, notes)
	return append(found, acked...), err
}

// stuckRuns lists the runs that have not ended, with what they stand at and the state of the job that should move them.
func (s *soak) stuckRuns(ctx context.Context) ([]finding, error) {
	rows, err := s.admin.Query(ctx, `select format('run %s %s is %s: %s', r.id, r.workflow, r.status, string_agg(
			format('%s %s %s attempt %s due %s worker %s job %s %s', s.name, s.phase, s.status, s.attempt, s.due_at, s.worker,
				s.job_id, j.state), '; '))
		from squidmesh_run r left join squidmesh_step s on s.run_id = r.id and s.status in ('scheduled', 'running', 'paused')
		left join river_job j on j.id::text = s.job_id
		where r.status not in ('completed', 'failed', 'cancelled') and r.workflow <> 'clock'
		group by r.id order by r.id`)
	if err != nil {
		return nil, err
	}
	texts, err := pgx.CollectRows(rows, pgx.RowTo[string])
	found := make([]finding, len(texts))
	for i, text := range texts {
		found[i] = finding{stuck, text}
	}
	return found, err
}

func (s *soak) steps(ctx context.Context) ([]step, error) {
	rows, err := s.admin.Query(ctx, `select s.run_id::text as run, r.workflow, s.name, s.phase, s.status,
			case s.phase when 'undo' then d.undo_kind else d.kind end as kind, s.attempt,
			(select count(*) from soak_effect e where e.run_id = s.run_id::text and e.step = s.name and e.phase = s.phase) as effects,
			coalesce((select max(attempt) from soak_effect e where e.run_id = s.run_id::text and e.step = s.name and e.phase = s.phase), 0) as by,
			coalesce(c.at, 'epoch') as done_at
		from squidmesh_step s join squidmesh_run r on r.id = s.run_id join squidmesh_spec p on p.shape = r.shape
		cross join lateral json_to_recordset(p.body -> 'steps') as d (name text, kind text, undo_kind text)
		left join squidmesh_event c on c.run_id = s.run_id and c.seq = s.done_seq
		where d.name = s.name`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[step])
}

// transactional effects happen exactly once if their step completed, by the attempt that completed it, and not at all if it did not.
func transactional(steps []step) (found []finding) {
	for _, st := range steps {
		want := 0
		if st.Status == "completed" && st.Kind == "func_tx" {
			want = 1
		}
		if st.Effects != want {
			kind := doubled
			if st.Effects < want {
				kind = violated
			}
			found = append(found, finding{kind, fmt.Sprintf("run %s %s: %s %s is %s with %d rows of effect",
				st.Run, st.Workflow, st.Name, st.Phase, st.Status, st.Effects)})
		}
		if want == 1 && st.Effects == 1 && st.By != st.Attempt {
			found = append(found, finding{violated, fmt.Sprintf("run %s %s: %s %s has completed at attempt %d with the effect of attempt %d",
				st.Run, st.Workflow, st.Name, st.Phase, st.Attempt, st.By)})
		}
	}
	return found
}

// clockSlack is how far the clocks of this program and of PostgreSQL, which read the same one, may be apart.
const clockSlack = 20 * time.Millisecond

// external effects begin at most once per attempt, of attempts that were claimed, always with the same key and never with another's,
// and have happened before the checkpoint if their step completed: a checkpoint in front of its effect is the word of a worker that had
// lost the attempt.
func external(steps []step, notes []entry) (found []finding) {
	type place struct{ run, step, phase string }
	type attempt struct {
		place
		attempt int
	}
	begun, ended := map[attempt]int{}, map[attempt]time.Time{}
	keys, owners := map[place]string{}, map[string]place{}
	rows := map[place]step{}
	for _, st := range steps {
		rows[place{st.Run, st.Name, st.Phase}] = st
	}
	for _, n := range notes {
		p := place{n.Run, n.Step, n.Phase}
		a := attempt{p, n.Attempt}
		switch n.Kind {
		case noteBegin:
			if begun[a]++; begun[a] == 2 {
				found = append(found, finding{doubled, fmt.Sprintf("run %s: %s %s attempt %d was executed twice", n.Run, n.Step, n.Phase, n.Attempt)})
			}
			if row, ok := rows[p]; !ok || n.Attempt > row.Attempt {
				found = append(found, finding{violated, fmt.Sprintf("run %s: %s %s attempt %d was executed without a claim", n.Run, n.Step, n.Phase, n.Attempt)})
			}
			if key, ok := keys[p]; ok && key != n.Key {
				found = append(found, finding{violated, fmt.Sprintf("run %s: %s %s had the keys %s and %s", n.Run, n.Step, n.Phase, key, n.Key)})
			}
			if owner, ok := owners[n.Key]; ok && owner != p {
				found = append(found, finding{violated, fmt.Sprintf("key %s belongs to %v and %v", n.Key, owner, p)})
			}
			keys[p], owners[n.Key] = n.Key, p
		case noteEnd:
			ended[a] = n.At
		case noteWrong:
			found = append(found, finding{violated, fmt.Sprintf("run %s: %s %s: %s", n.Run, n.Step, n.Phase, n.Note)})
		}
	}
	for p, row := range rows {
		a := attempt{p, row.Attempt}
		if row.Status != "completed" || begun[a] == 0 {
			continue
		}
		switch at := ended[a]; {
		case at.IsZero():
			found = append(found, finding{violated, fmt.Sprintf("run %s: %s %s has completed without its effect", p.run, p.step, p.phase)})
		case at.After(row.DoneAt.Add(clockSlack)):
			found = append(found, finding{violated, fmt.Sprintf("run %s: %s %s attempt %d had its effect %s after its checkpoint",
				p.run, p.step, p.phase, row.Attempt, at.Sub(row.DoneAt))})
		}
	}
	return found
}

// acknowledged: what a client was told exists, and a key has one run.
func (s *soak) acknowledged(ctx context.Context, notes []entry) (found []finding, err error) {
	rows, err := s.admin.Query(ctx, `select r.id::text, r.verdict, coalesce(string_agg(e.actor, ','), '') from squidmesh_run r
		left join squidmesh_event e on e.run_id = r.id and e.actor is not null group by r.id`)
	if err != nil {
		return nil, err
	}
	actors, verdicts := map[string]map[string]int{}, map[string]string{}
	var run, verdict, list string
	if _, err := pgx.ForEachRow(rows, []any{&run, &verdict, &list}, func() error {
		actors[run], verdicts[run] = countWords(list), verdict
		return nil
	}); err != nil {
		return nil, err
	}
	byKey := map[string]string{}
	for _, n := range notes {
		if n.Kind != noteStarted && n.Kind != noteDecided && n.Kind != noteCancelled {
			continue
		}
		switch known, ok := actors[n.Run]; {
		case !ok:
			found = append(found, finding{violated, fmt.Sprintf("run %s was acknowledged to %s and does not exist", n.Run, n.Process)})
		case n.Kind == noteDecided && known[n.Actor] == 0:
			found = append(found, finding{violated, fmt.Sprintf("run %s: the decision of %s was acknowledged and is not in the audit", n.Run, n.Actor)})
		}
		if n.Kind == noteCancelled && verdicts[n.Run] != "cancelled" {
			found = append(found, finding{violated, fmt.Sprintf("run %s: its cancel was acknowledged to %s, its verdict is %q", n.Run, n.Process, verdicts[n.Run])})
		}
		if n.Key != "" {
			id := n.Workflow + "/" + n.Key
			if first, ok := byKey[id]; ok && first != n.Run {
				found = append(found, finding{violated, fmt.Sprintf("key %s led to the runs %s and %s", id, first, n.Run)})
			}
			byKey[id] = n.Run
		}
	}
	for run, known := range actors {
		for actor, count := range known {
			if count > 1 {
				found = append(found, finding{doubled, fmt.Sprintf("run %s: %s decided once and is in the audit %d times", run, actor, count)})
			}
		}
	}
	return found, nil
}
