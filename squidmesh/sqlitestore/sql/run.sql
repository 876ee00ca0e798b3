-- name: Run
-- The columns of a run except its payload.
id, workflow, trigger, shape, coalesce(key, freed_key, '') as key, coalesce(key_hash, '') as key_hash, coalesce(window_at, 0) as window_at,
    coalesce(window_end, 0) as window_end, coalesce(received_at, 0) as received_at, coalesce(signal_id, '') as signal_id, replayed_from,
    created_at, status, verdict, compensate, version, seq, last_at, open, retrying, reason, coalesce(finished_at, 0) as finished_at

-- name: InsertRun
-- A taken key or id inserts nothing.
insert into squidmesh_run (
    id, workflow, trigger, shape, key, key_hash, window_at, window_end, received_at, signal_id, replayed_from, payload, created_at,
    status, verdict, compensate, version, seq, last_at, open, retrying, reason, finished_at
) values (
    ?1, ?2, ?3, ?4, nullif(?5, ''), nullif(?6, ''), nullif(?7, 0), nullif(?8, 0), nullif(?9, 0), nullif(?10, ''), ?11, ?12,
    ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, nullif(?23, 0)
) on conflict do nothing;

-- name: InsertRuns
-- Starts without a key, many at once. One that InsertRun has inserted already is left as it is.
insert into squidmesh_run (
    id, workflow, trigger, shape, key, key_hash, window_at, window_end, received_at, signal_id, replayed_from, payload, created_at,
    status, verdict, compensate, version, seq, last_at, open, retrying, reason, finished_at
)
select
    value ->> 0, value ->> 1, value ->> 2, value ->> 3, nullif(value ->> 4, ''), nullif(value ->> 5, ''), nullif(value ->> 6, 0),
    nullif(value ->> 7, 0), nullif(value ->> 8, 0), nullif(value ->> 9, ''), value ->> 10, value ->> 11, value ->> 12, value ->> 13,
    value ->> 14, value ->> 15, value ->> 16, value ->> 17, value ->> 18, value ->> 19, value ->> 20, value ->> 21,
    nullif(value ->> 22, 0)
from json_each(?)
where true
on conflict (id) do nothing;

-- name: Taken
select /* include Run */, null as payload
from squidmesh_run
where id = ? or workflow = ? and key = ?;

-- name: FreeKey
update squidmesh_run set freed_key = key, key = null where id = ? and key is not null and status in ('failed', 'cancelled');

-- name: Filter
-- What all listings share. Open ends are extreme values rather than nulls, so that the index serves them too.
status in (select value from json_each(@statuses)) and @key in ('', coalesce(key, freed_key, ''))
    and created_at >= @from and created_at < @before and (created_at, id) < (@cursor_at, @cursor_id)
order by created_at desc, id desc
limit @limit

-- name: FindByID
select /* include Run */, iif(@payload, payload, null) as payload
from squidmesh_run
where id in (select value from json_each(@ids)) and @workflow in ('', workflow) and /* include Filter */;

-- name: FindByKey
-- By the unique index, and by that of the keys that were freed.
select /* include Run */, iif(@payload, payload, null) as payload
from squidmesh_run
where (workflow = @workflow and key = @key or workflow = @workflow and freed_key = @key) and /* include Filter */;

-- name: FindByWorkflow
-- By the index (workflow, created_at, id), backwards.
select /* include Run */, iif(@payload, payload, null) as payload
from squidmesh_run
where workflow = @workflow and /* include Filter */;

-- name: FindByStatus
-- Any workflow. SQLite has no lateral joins; its databases are small enough to sort.
select /* include Run */, iif(@payload, payload, null) as payload
from squidmesh_run
where /* include Filter */;
