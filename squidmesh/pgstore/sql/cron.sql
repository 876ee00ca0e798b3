-- name: Trigger
-- The columns of a trigger.
t.workflow, t.name, t.expression, t.time_zone, t.missed, t.catch_up, t.overlap, t.next_at, t.paused, t.changed_at,
    coalesce(t.actor, ''), coalesce(t.comment, ''), t.pruned_to

-- name: Keys
-- The triggers that are asked for.
unnest(@workflows::text[], @triggers::text[])

-- name: Triggers
select /* include Trigger */
from /* schema */squidmesh_trigger as t
where @workflow in ('', t.workflow)
order by t.workflow, t.name;

-- name: TriggersByKey
select /* include Trigger */
from /* schema */squidmesh_trigger as t
where (t.workflow, t.name) in (select * from /* include Keys */)
order by t.workflow, t.name;

-- name: LockTriggers
-- In the order of their keys. Deliveries and operators wait for each other here.
select /* include Trigger */
from /* schema */squidmesh_trigger as t
where (t.workflow, t.name) in (select * from /* include Keys */)
order by t.workflow, t.name
for no key update of t;

-- name: DueTriggers
-- What somebody else holds is being fired, or will still be due at the next tick.
select /* include Trigger */
from /* schema */squidmesh_trigger as t
where not t.paused and t.next_at <= @due::timestamptz and (t.workflow, t.name) in (select * from /* include Keys */)
order by t.next_at, t.workflow, t.name
limit @limit
for no key update of t skip locked;

-- name: RegisterTriggers
-- In the order of their keys, since it waits for others that insert the same ones. What is there is looked for first, without a lock: an
-- insert that meets a row would wait for whoever has changed it, as an operator does in a transaction that may be long.
insert into /* schema */squidmesh_trigger (workflow, name, expression, time_zone, missed, catch_up, overlap, next_at, paused)
select * from unnest(
    $1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::integer[], $7::text[], $8::timestamptz[], $9::boolean[]
) as u (workflow, name, expression, time_zone, missed, catch_up, overlap, next_at, paused)
where not exists (select from /* schema */squidmesh_trigger as t where t.workflow = u.workflow and t.name = u.name)
order by u.workflow, u.name
on conflict (workflow, name) do nothing;

-- name: DefineTriggers
-- Under the triggers' locks.
update /* schema */squidmesh_trigger as t set
    expression = u.expression, time_zone = u.time_zone, missed = u.missed, catch_up = u.catch_up, overlap = u.overlap, next_at = u.next_at
from unnest(
    $1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::integer[], $7::text[], $8::timestamptz[]
) as u (workflow, name, expression, time_zone, missed, catch_up, overlap, next_at)
where t.workflow = u.workflow and t.name = u.name;

-- name: UpdateTriggers
-- Under the triggers' locks.
update /* schema */squidmesh_trigger as t set next_at = u.next_at
from unnest($1::text[], $2::text[], $3::timestamptz[]) as u (workflow, name, next_at)
where t.workflow = u.workflow and t.name = u.name;

-- name: OperateTriggers
-- Under the triggers' locks.
update /* schema */squidmesh_trigger as t set
    next_at = u.next_at, paused = u.paused, changed_at = u.changed_at, actor = nullif(u.actor, ''), comment = nullif(u.comment, '')
from unnest(
    $1::text[], $2::text[], $3::timestamptz[], $4::boolean[], $5::timestamptz[], $6::text[], $7::text[]
) as u (workflow, name, next_at, paused, changed_at, actor, comment)
where t.workflow = u.workflow and t.name = u.name;

-- name: InsertFires
-- A key or signal that exists is a window that has been fired.
insert into /* schema */squidmesh_fire (
    workflow, name, key, signal_id, window_at, window_end, state, reason, run_id, fired_at, look_at, sent, job_id, actor, comment
)
select
    workflow, name, key, signal_id, window_at, window_end, state, nullif(reason, ''), run_id, fired_at, look_at, sent, nullif(job_id, ''),
    nullif(actor, ''), nullif(comment, '')
from unnest(
    $1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[], $7::text[], $8::text[], $9::uuid[],
    $10::timestamptz[], $11::timestamptz[], $12::integer[], $13::text[], $14::text[], $15::text[]
) as u (workflow, name, key, signal_id, window_at, window_end, state, reason, run_id, fired_at, look_at, sent, job_id, actor, comment)
on conflict do nothing
returning workflow, name, key, signal_id;

-- name: UpdateFires
-- Under the fires' locks.
update /* schema */squidmesh_fire as f set
    state = u.state, reason = nullif(u.reason, ''), run_id = u.run_id, look_at = u.look_at, sent = u.sent, job_id = nullif(u.job_id, '')
from unnest(
    $1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::timestamptz[], $8::integer[], $9::text[]
) as u (workflow, name, key, state, reason, run_id, look_at, sent, job_id)
where f.workflow = u.workflow and f.name = u.name and f.key = u.key;

-- name: Fire
-- The columns of a fire, with the status of its run.
f.workflow, f.name, f.key, f.signal_id, f.window_at, f.window_end, f.state, coalesce(f.reason, ''), f.run_id, f.fired_at, f.look_at,
    f.sent, coalesce(f.job_id, ''), coalesce(f.actor, ''), coalesce(f.comment, ''), coalesce(r.status, '')

-- name: LockFire
select /* include Fire */
from /* schema */squidmesh_fire as f left join /* schema */squidmesh_run as r on r.id = f.run_id
where (f.workflow, f.name) in (select * from /* include Keys */) and f.signal_id = @signal
for no key update of f;

-- name: LateFires
select /* include Fire */
from /* schema */squidmesh_fire as f left join /* schema */squidmesh_run as r on r.id = f.run_id
where f.look_at <= @look::timestamptz and (f.workflow, f.name) in (select * from /* include Keys */)
order by f.look_at, f.window_at
limit @limit
for no key update of f skip locked;

-- name: CommentedFires
-- Of one trigger, by the primary key.
select /* include Fire */
from /* schema */squidmesh_fire as f left join /* schema */squidmesh_run as r on r.id = f.run_id
where (f.workflow, f.name) in (select * from /* include Keys */) and f.key > @after and f.comment is not null
order by f.key
limit @limit;

-- name: NewestFires
-- A range of the index (workflow, name, window_at) for each trigger. The run of each is looked up by itself (offset 0): planned without
-- the limit's value, a join would read all runs.
select /* include Fire */
from /* include Keys */ as k (workflow, name),
lateral (
    select * from /* schema */squidmesh_fire as f
    where f.workflow = k.workflow and f.name = k.name
    order by f.window_at desc, f.key desc
    limit @limit
) as f
left join lateral (select status from /* schema */squidmesh_run where id = f.run_id offset 0) as r on true
order by f.workflow, f.name, f.window_at desc, f.key desc;

-- name: FiresAhead
-- Runs of windows that have not ended stand in an index of their own, and so do queued fires, so it does not matter how many windows have
-- come to nothing since the one that still holds up the others.
select /* include Fire */
from /* include Keys */ as k (workflow, name),
lateral (
    (
        select f.* from /* schema */squidmesh_run as u
        join /* schema */squidmesh_fire as f
            on f.workflow = u.workflow and f.name = u.trigger and f.window_at = u.window_at and f.run_id = u.id
        where u.workflow = k.workflow and u.trigger = k.name and u.window_at is not null and u.finished_at is null
        limit 1
    )
    union all
    (
        select f.* from /* schema */squidmesh_fire as f
        where f.workflow = k.workflow and f.name = k.name and f.state = 'queued' and f.window_at < @ahead::timestamptz
        limit 1
    )
) as f
left join /* schema */squidmesh_run as r on r.id = f.run_id
order by f.workflow, f.name, f.state desc;
