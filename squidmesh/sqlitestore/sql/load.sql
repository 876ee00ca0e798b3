-- name: Step
-- The columns of a step row.
run_id, name, phase, status, attempt, failures, losses, missing, coalesce(done_seq, 0), coalesce(worker, 0), coalesce(due_at, 0),
    coalesce(deadline_at, 0), coalesce(started_at, 0), coalesce(finished_at, 0), coalesce(cause, ''), coalesce(job_id, ''),
    coalesce(queue, '')

-- name: Steps
select /* include Step */
from squidmesh_step
where run_id = ?;

-- name: StepsNamed
select /* include Step */
from squidmesh_step
where run_id = ? and (name, phase) in (select value ->> 'name', value ->> 'phase' from json_each(?));

-- name: Outputs
-- An output stands once, on the event of its step's completion. The same event may complete a block, which has none.
select s.name, e.output
from squidmesh_step as s
join squidmesh_event as e on e.run_id = s.run_id and e.seq = s.done_seq and e.step = s.name
where s.run_id = ? and s.name in (select value from json_each(?)) and s.phase = 'do' and s.status = 'completed' and e.output is not null;

-- name: Payload
select payload from squidmesh_run where id = ?;

-- name: Attempts
select run_id, name, phase, attempt, coalesce(worker, 0), outcome, coalesce(started_at, 0), ended_at, error
from squidmesh_attempt
where run_id = ?
order by ended_at, name, phase, attempt;

-- name: Events
select run_id, seq, kind, step, phase, attempt, at, coalesce(actor, ''), data, output
from squidmesh_event
where run_id = ?
order by seq;
