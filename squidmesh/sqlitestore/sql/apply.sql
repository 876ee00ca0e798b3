-- Each statement takes all its rows as one JSON array of arrays, in the order of the columns here. JSON documents travel in it as
-- strings, which keeps them byte for byte.

-- name: UpdateRuns
-- Mutable columns only. The version must rise, so that a row which was read without its lock is never written back.
update squidmesh_run as r set
    status = u.value ->> 1, verdict = u.value ->> 2, compensate = u.value ->> 3, version = u.value ->> 4, seq = u.value ->> 5,
    last_at = u.value ->> 6, open = u.value ->> 7, retrying = u.value ->> 8, reason = u.value ->> 9,
    finished_at = nullif(u.value ->> 10, 0)
from json_each(?) as u
where r.id = u.value ->> 0 and r.version < u.value ->> 4;

-- name: InsertSteps
insert into squidmesh_step (
    run_id, name, phase, status, attempt, failures, losses, missing, done_seq, worker,
    due_at, deadline_at, started_at, finished_at, cause, job_id, queue
)
select
    value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
    nullif(value ->> 8, 0), nullif(value ->> 9, 0), nullif(value ->> 10, 0), nullif(value ->> 11, 0), nullif(value ->> 12, 0),
    nullif(value ->> 13, 0), nullif(value ->> 14, ''), nullif(value ->> 15, ''), nullif(value ->> 16, '')
from json_each(?);

-- name: UpdateSteps
-- By the primary key.
update squidmesh_step as s set
    status = u.value ->> 3, attempt = u.value ->> 4, failures = u.value ->> 5, losses = u.value ->> 6, missing = u.value ->> 7,
    done_seq = nullif(u.value ->> 8, 0), worker = nullif(u.value ->> 9, 0), due_at = nullif(u.value ->> 10, 0),
    deadline_at = nullif(u.value ->> 11, 0), started_at = nullif(u.value ->> 12, 0), finished_at = nullif(u.value ->> 13, 0),
    cause = nullif(u.value ->> 14, ''), job_id = nullif(u.value ->> 15, ''), queue = nullif(u.value ->> 16, '')
from json_each(?) as u
where s.run_id = u.value ->> 0 and s.name = u.value ->> 1 and s.phase = u.value ->> 2;

-- name: InsertAttempts
insert into squidmesh_attempt (run_id, name, phase, attempt, worker, outcome, started_at, ended_at, error)
select
    value ->> 0, value ->> 1, value ->> 2, value ->> 3, nullif(value ->> 4, 0), value ->> 5, nullif(value ->> 6, 0), value ->> 7,
    value ->> 8
from json_each(?);

-- name: InsertAudit
-- The primary key refuses a second entry with one number.
insert into squidmesh_event (run_id, seq, kind, step, phase, attempt, at, actor, data, output)
select
    value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, nullif(value ->> 7, ''),
    value ->> 8, value ->> 9
from json_each(?);

-- name: DeleteHolds
delete from squidmesh_hold
where (worker, run_id, name, phase) in (select value ->> 0, value ->> 1, value ->> 2, value ->> 3 from json_each(?));

-- name: InsertHolds
-- A delivery that came twice to one worker is held once.
insert or ignore into squidmesh_hold (worker, run_id, name, phase)
select value ->> 0, value ->> 1, value ->> 2, value ->> 3 from json_each(?);
