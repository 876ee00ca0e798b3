-- name: Register
insert into squidmesh_worker (id, name, queues, functions, shapes, registered_at, lease_until) values (?1, ?2, ?3, ?4, ?5, ?6, ?6 + ?7);

-- name: Roster
-- Changes nothing, so that it can be asked within View.
select w.id, w.name, w.queues, w.functions, w.shapes, w.lease_until, coalesce(w.lost_at, 0)
from squidmesh_worker as w
where w.lost_at is null or exists (select 1 from squidmesh_hold as h where h.worker = w.id)
order by w.id
limit ?;

-- name: Forget
-- Workers that were lost a day ago and hold nothing.
delete from squidmesh_worker
where lost_at < ? - 86400000000 and not exists (select 1 from squidmesh_hold as h where h.worker = squidmesh_worker.id);

-- name: Resign
update squidmesh_worker set lost_at = ?2 where id = ?1 and lost_at is null;

-- name: Beat
-- registered_at is when the worker registered, or renewed its lease after a gap of more than half of it: since then the database has been
-- there for it. A clock that came back makes a gap too.
update squidmesh_worker
set lease_until = ?2 + ?3,
    registered_at = case when lease_until < ?2 + ?3 / 2 or registered_at > ?2 then ?2 else registered_at end
where id = ?1 and lost_at is null;

-- name: Expire
-- Only if a witness has renewed its own lease for as long as one lasts, up to now, without a gap of more than half of it: after an
-- outage the first one to come back must not judge the others, who could not come either. That the witness's lease still runs is not
-- enough: who renewed it last before an outage of most of a lease was away like all others.
update squidmesh_worker set lost_at = ?2
where lost_at is null and id <> ?1 and (?3 or lease_until < ?2 and exists (
    select 1 from squidmesh_worker as witness
    where witness.lost_at is null and witness.lease_until >= ?2 + ?4 / 2 and witness.registered_at <= ?2 - ?4
));

-- name: Alive
select exists (select 1 from squidmesh_worker where id = ? and lost_at is null);

-- name: Orphans
-- By the holds' primary key: no index on the steps is needed.
select h.worker, h.run_id, h.name, h.phase
from squidmesh_hold as h join squidmesh_worker as w on w.id = h.worker
where w.lost_at is not null and (h.run_id, h.worker, h.name, h.phase) > (?, ?, ?, ?)
order by h.run_id, h.worker, h.name, h.phase
limit ?;

-- name: Verdicts
select distinct h.run_id
from squidmesh_hold as h join squidmesh_run as r on r.id = h.run_id
where h.worker = ? and r.verdict <> ''
order by h.run_id;

-- name: FailedBlocks
-- By the primary key.
select run_id, name
from squidmesh_step
where (run_id, name) in (select value ->> 0, value ->> 1 from json_each(?)) and phase = 'do' and status = 'failed'
order by run_id, name;

-- name: Jobless
-- By an index that holds nothing else.
select /* include Step */
from squidmesh_step
where due_at is not null and job_id is null and status = 'scheduled' and due_at < ?
    and (due_at, run_id, name, phase) > (?, ?, ?, ?)
order by due_at, run_id, name, phase
limit ?;

-- name: Overdue
select /* include Step */
from squidmesh_step
where due_at is not null and job_id is not null and status = 'scheduled' and due_at < ?
    and (due_at, run_id, name, phase) > (?, ?, ?, ?)
order by due_at, run_id, name, phase
limit ?;

-- name: ExpiredDecisions
-- By an index that holds nothing else.
select /* include Step */
from squidmesh_step
where open_until is not null and open_until <= ? and (open_until, run_id, name, phase) > (?, ?, ?, ?)
order by open_until, run_id, name, phase
limit ?;

-- name: Late
-- Found by the holds: there is no index on the deadlines of attempts.
select /* include Step */
from squidmesh_step
where (worker, run_id) in (select worker, run_id from squidmesh_hold) and status = 'running' and deadline_at <= ?
    and (deadline_at, run_id, name, phase) > (?, ?, ?, ?)
order by deadline_at, run_id, name, phase
limit ?;

-- name: HeldBy
select worker, run_id, name, phase
from squidmesh_hold
where (worker, run_id) in (select value ->> 0, value ->> 1 from json_each(?))
order by run_id, worker, name, phase;
