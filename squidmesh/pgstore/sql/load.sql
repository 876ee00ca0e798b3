-- name: Step
-- The columns of a step row.
run_id, name, phase, status, attempt, failures, losses, missing, coalesce(done_seq, 0), coalesce(worker, 0), due_at, deadline_at,
    started_at, finished_at, coalesce(cause, ''), coalesce(job_id, ''), coalesce(queue, '')

-- name: Steps
-- No locks: the run's row is locked, or the transaction is read-only.
select /* include Step */
from /* schema */squidmesh_step
where run_id = $1;

-- name: StepsNamed
select /* include Step */
from /* schema */squidmesh_step
where run_id = $1 and (name, phase) in (select * from unnest($2::text[], $3::text[]));

-- name: Outputs
-- An output stands once, on the event of its step's completion. The same event may complete a block, which has none.
select s.name, e.output
from /* schema */squidmesh_step as s
join /* schema */squidmesh_event as e on e.run_id = s.run_id and e.seq = s.done_seq and e.step = s.name
where s.run_id = $1 and s.name = any($2::text[]) and s.phase = 'do' and s.status = 'completed' and e.output is not null;

-- name: Payload
select payload from /* schema */squidmesh_run where id = $1;

-- name: Attempts
select run_id, name, phase, attempt, coalesce(worker, 0), outcome, started_at, ended_at, error
from /* schema */squidmesh_attempt
where run_id = $1
order by ended_at, name, phase, attempt;

-- name: Events
select run_id, seq, kind, step, phase, attempt, at, coalesce(actor, ''), data, output
from /* schema */squidmesh_event
where run_id = $1
order by seq;
