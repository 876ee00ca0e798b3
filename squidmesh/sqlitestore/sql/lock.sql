-- name: Lock
-- Every transaction that writes holds the database's one write lock from its beginning, so there is nothing more to lock.
select /* include Run */, null as payload
from squidmesh_run
where id in (select value from json_each(?))
order by id;

-- name: WorkerLost
select not exists (select 1 from squidmesh_worker where id = ? and lost_at is null);
