-- name: Lock
-- By id, so that transactions which lock several runs cannot
-- deadlock. NO KEY, so that inserts which refer to a run do not wait. No clock here: a select list is evaluated before the
-- wait for the lock, and was seen 1.1 s in the past.
select /* include Run */, null::json as payload
from /* schema */squidmesh_run
where id = any($1::uuid[])
order by id
for no key update;

-- name: LockSkipping
-- For batches: they never wait for a run that somebody else holds.
select /* include Run */, null::json as payload
from /* schema */squidmesh_run
where id = any($1::uuid[])
order by id
for no key update skip locked;

-- name: Clock
-- Runs behind Lock in the same round trip, so it sees the time and the worker's row as they are once the locks are held. The
-- worker's row needs no lock: who declares it lost must lock the run before it takes anything over.
select clock_timestamp(),
    $1::bigint <> 0 and not exists (select from /* schema */squidmesh_worker where id = $1 and lost_at is null);
