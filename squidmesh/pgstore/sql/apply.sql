-- name: UpdateRuns
-- Mutable columns only. The version must rise, so that a row which was read without its lock is never written back. The server
-- itself refuses to go on when a row is missing (it divides by zero): the COMMIT may be on its way already.
with changed as (
update /* schema */squidmesh_run as r set
    status = u.status, verdict = u.verdict, compensate = u.compensate, version = u.version, seq = u.seq, last_at = u.last_at,
    open = u.open, retrying = u.retrying, reason = u.reason::json, finished_at = u.finished_at
from unnest(
    $1::uuid[], $2::text[], $3::text[], $4::boolean[], $5::integer[], $6::integer[], $7::timestamptz[],
    $8::integer[], $9::integer[], $10::text[], $11::timestamptz[]
) as u (id, status, verdict, compensate, version, seq, last_at, open, retrying, reason, finished_at)
where r.id = u.id and r.version < u.version
returning 1
)
select 1 / (count(*) = cardinality($1::uuid[]))::integer from changed;

-- name: InsertSteps
insert into /* schema */squidmesh_step (
    run_id, name, phase, status, attempt, failures, losses, missing, done_seq, worker,
    due_at, deadline_at, started_at, finished_at, cause, job_id, queue
)
select
    run_id, name, phase, status, attempt, failures, losses, missing, nullif(done_seq, 0), nullif(worker, 0),
    due_at, deadline_at, started_at, finished_at, nullif(cause, ''), nullif(job_id, ''), nullif(queue, '')
from unnest(
    $1::uuid[], $2::text[], $3::text[], $4::text[], $5::integer[], $6::integer[], $7::integer[], $8::integer[], $9::integer[], $10::bigint[],
    $11::timestamptz[], $12::timestamptz[], $13::timestamptz[], $14::timestamptz[], $15::text[], $16::text[], $17::text[]
) as u (
    run_id, name, phase, status, attempt, failures, losses, missing, done_seq, worker,
    due_at, deadline_at, started_at, finished_at, cause, job_id, queue
);

-- name: UpdateSteps
-- By the primary key, under the run's lock. HOT unless due_at changes. Refuses to go on when a row is missing.
with changed as (
update /* schema */squidmesh_step as s set
    status = u.status, attempt = u.attempt, failures = u.failures, losses = u.losses, missing = u.missing,
    done_seq = nullif(u.done_seq, 0), worker = nullif(u.worker, 0), due_at = u.due_at, deadline_at = u.deadline_at,
    started_at = u.started_at, finished_at = u.finished_at,
    cause = nullif(u.cause, ''), job_id = nullif(u.job_id, ''), queue = nullif(u.queue, '')
from unnest(
    $1::uuid[], $2::text[], $3::text[], $4::text[], $5::integer[], $6::integer[], $7::integer[], $8::integer[], $9::integer[], $10::bigint[],
    $11::timestamptz[], $12::timestamptz[], $13::timestamptz[], $14::timestamptz[], $15::text[], $16::text[], $17::text[]
) as u (
    run_id, name, phase, status, attempt, failures, losses, missing, done_seq, worker,
    due_at, deadline_at, started_at, finished_at, cause, job_id, queue
)
where s.run_id = u.run_id and s.name = u.name and s.phase = u.phase
returning 1
)
select 1 / (count(*) = cardinality($1::uuid[]))::integer from changed;

-- name: InsertAttempts
insert into /* schema */squidmesh_attempt (run_id, name, phase, attempt, worker, outcome, started_at, ended_at, error)
select run_id, name, phase, attempt, nullif(worker, 0), outcome, started_at, ended_at, error::json
from unnest(
    $1::uuid[], $2::text[], $3::text[], $4::integer[], $5::bigint[], $6::text[], $7::timestamptz[], $8::timestamptz[], $9::text[]
) as u (run_id, name, phase, attempt, worker, outcome, started_at, ended_at, error);

-- name: InsertAudit
-- The primary key refuses a second entry with one number: two commits that both believe to be the next one cannot both be.
insert into /* schema */squidmesh_event (run_id, seq, kind, step, phase, attempt, at, actor, data, output)
select run_id, seq, kind, step, phase, attempt, at, nullif(actor, ''), data::json, output::json
from unnest(
    $1::uuid[], $2::integer[], $3::text[], $4::text[], $5::text[], $6::integer[], $7::timestamptz[], $8::text[], $9::text[], $10::text[]
) as u (run_id, seq, kind, step, phase, attempt, at, actor, data, output);

-- name: DeleteHolds
delete from /* schema */squidmesh_hold as h
using unnest($1::bigint[], $2::uuid[], $3::text[], $4::text[]) as u (worker, run_id, name, phase)
where h.worker = u.worker and h.run_id = u.run_id and h.name = u.name and h.phase = u.phase;

-- name: InsertHolds
-- A delivery that came twice to one worker is held once.
insert into /* schema */squidmesh_hold (worker, run_id, name, phase)
select * from unnest($1::bigint[], $2::uuid[], $3::text[], $4::text[])
on conflict do nothing;

-- name: ContinueSteps
-- What most commits do to most of their runs: a step ended well at its first try, and its worker goes on with the next one. It is what
-- the statements above would write, from a quarter of their parameters. The phase comes with the rows: as a constant it was taken, while
-- the table was empty, for all that is worth looking for in the primary key, whose third column it is.
with u as materialized (
    select *, 'do' as phase from unnest(
        $1::uuid[], $2::integer[], $3::timestamptz[], $4::integer[], $5::text[], $6::text[], $7::bigint[], $8::timestamptz[], $9::text[],
        $10::text[], $11::text[]
    ) as u (run_id, seq, at, open, ended, next, worker, deadline_at, queue, data, output)
), entries as (
    insert into /* schema */squidmesh_event (run_id, seq, kind, step, phase, attempt, at, data, output)
    select run_id, seq, 'succeeded', ended, 'do', 1, at, data::json, output::json from u
), added as (
    insert into /* schema */squidmesh_step (
        run_id, name, phase, status, attempt, failures, losses, missing, worker, deadline_at, started_at, queue
    )
    select run_id, next, 'do', 'running', 1, 0, 0, 0, worker, deadline_at, at, nullif(queue, '') from u
), ended as (
    update /* schema */squidmesh_step as s set
        status = 'completed', done_seq = u.seq, due_at = null, deadline_at = null, finished_at = u.at
    from u
    where s.run_id = u.run_id and s.name = u.ended and s.phase = u.phase
    returning 1
), advanced as (
    update /* schema */squidmesh_run as r set
        status = 'running', verdict = '', compensate = false, version = u.seq, seq = u.seq, last_at = u.at, open = u.open, retrying = 0,
        reason = null, finished_at = null
    from u
    where r.id = u.run_id and r.version < u.seq
    returning 1
)
select 1 / ((select count(*) from ended) = cardinality($1::uuid[]) and (select count(*) from advanced) = cardinality($1::uuid[]))::integer;
