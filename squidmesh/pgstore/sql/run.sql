-- name: Run
-- The columns of a run except its payload.
id, workflow, trigger, shape, coalesce(key, freed_key, '') as key, coalesce(key_hash, '') as key_hash, window_at,
    window_end, received_at, coalesce(signal_id, '') as signal_id, replayed_from, created_at, status, verdict, compensate, version, seq,
    last_at, open, retrying, reason, finished_at

-- name: InsertRun
-- On a taken key or id it waits until the other transaction has ended.
insert into /* schema */squidmesh_run (
    id, workflow, trigger, shape, key, key_hash, window_at, window_end, received_at, signal_id, replayed_from, payload, created_at,
    status, verdict, compensate, version, seq, last_at, open, retrying, reason, finished_at
) values (
    $1, $2, $3, $4, nullif($5, ''), nullif($6, ''), $7, $8, $9, nullif($10, ''), $11, $12::text::json, $13,
    $14, $15, $16, $17, $18, $19, $20, $21, $22::text::json, $23
) on conflict do nothing;

-- name: InsertRuns
-- Starts without a key, many at once. One that InsertRun has inserted already is left as it is.
insert into /* schema */squidmesh_run (
    id, workflow, trigger, shape, key, key_hash, window_at, window_end, received_at, signal_id, replayed_from, payload, created_at,
    status, verdict, compensate, version, seq, last_at, open, retrying, reason, finished_at
)
select
    id, workflow, trigger, shape, nullif(key, ''), nullif(key_hash, ''), window_at, window_end, received_at, nullif(signal_id, ''),
    replayed_from, payload::json, created_at,
    status, verdict, compensate, version, seq, last_at, open, retrying, reason::json, finished_at
from unnest(
    $1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::timestamptz[],
    $9::timestamptz[], $10::text[], $11::uuid[], $12::text[], $13::timestamptz[], $14::text[], $15::text[], $16::boolean[], $17::integer[],
    $18::integer[], $19::timestamptz[], $20::integer[], $21::integer[], $22::text[], $23::timestamptz[]
) as u (
    id, workflow, trigger, shape, key, key_hash, window_at, window_end, received_at, signal_id, replayed_from, payload, created_at,
    status, verdict, compensate, version, seq, last_at, open, retrying, reason, finished_at
)
on conflict (id) do nothing;

-- name: Taken
-- A statement of its own, so that it sees the row that InsertRun waited for. One probe for each index: of an "or" of both some
-- planners make a scan of the whole table, if they plan while it is small, and a connection keeps the plan.
select /* include Run */, null::json as payload
from /* schema */squidmesh_run
where id = $1
union all
select /* include Run */, null::json as payload
from /* schema */squidmesh_run
where workflow = $2 and key = $3 and id <> $1;

-- name: FreeKey
-- By the primary key. Of two that free it at once the second one waits for the first, and finds the key gone.
update /* schema */squidmesh_run set freed_key = key, key = null
where id = $1 and key is not null and status in ('failed', 'cancelled');

-- name: Filter
-- What all listings share. Open ends are infinite values rather than nulls, so that a generic plan can still use the index
-- for them.
status = any(@statuses::text[]) and @key in ('', key, freed_key)
    and created_at >= @from and created_at < @before and (created_at, id) < (@cursor_at, @cursor_id)
order by created_at desc, id desc
limit nullif(@limit::bigint, 0)

-- name: FindByID
select /* include Run */, case when @payload then payload end as payload
from /* schema */squidmesh_run
where id = any(@ids::uuid[]) and @workflow in ('', workflow) and /* include Filter */;

-- name: FindByKey
-- By the unique index, and by that of the keys that were freed.
select found.*
from (
    select /* include Run */, case when @payload then payload end as payload
    from /* schema */squidmesh_run
    where workflow = @workflow and key = @key
    union all
    select /* include Run */, case when @payload then payload end as payload
    from /* schema */squidmesh_run
    where workflow = @workflow and freed_key = @key
) as found
where status = any(@statuses::text[]) and created_at >= @from and created_at < @before and (created_at, id) < (@cursor_at, @cursor_id)
order by created_at desc, id desc
limit nullif(@limit::bigint, 0);

-- name: FindByWorkflow
-- By the index (workflow, created_at, id), backwards.
select /* include Run */, case when @payload then payload end as payload
from /* schema */squidmesh_run
where workflow = @workflow and /* include Filter */;

-- name: FindByStatus
-- Any workflow: one backward range of the index (status, created_at, id) for each status asked for, merged. There is no index
-- on created_at alone; with nine statuses there need be none.
select found.*
from unnest(@statuses::text[]) as wanted (wanted)
cross join lateral (
    select /* include Run */, case when @payload then payload end as payload
    from /* schema */squidmesh_run
    where status = wanted and /* include Filter */
) as found
order by created_at desc, id desc
limit nullif(@limit::bigint, 0);
