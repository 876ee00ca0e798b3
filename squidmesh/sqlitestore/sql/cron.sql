-- name: Trigger
-- The columns of a trigger.
t.workflow, t.name, t.expression, t.time_zone, t.missed, t.catch_up, t.overlap, coalesce(t.next_at, 0), t.paused,
    coalesce(t.changed_at, 0), coalesce(t.actor, ''), coalesce(t.comment, ''), coalesce(t.pruned_to, 0)

-- name: Triggers
select /* include Trigger */
from squidmesh_trigger as t
where ? in ('', t.workflow)
order by t.workflow, t.name;

-- name: TriggersByKey
select /* include Trigger */
from squidmesh_trigger as t
where (t.workflow, t.name) in (select value ->> 0, value ->> 1 from json_each(?))
order by t.workflow, t.name;

-- name: DueTriggers
select /* include Trigger */
from squidmesh_trigger as t
where not t.paused and t.next_at <= ? and (t.workflow, t.name) in (select value ->> 0, value ->> 1 from json_each(?))
order by t.next_at, t.workflow, t.name
limit ?;

-- name: RegisterTriggers
insert into squidmesh_trigger (workflow, name, expression, time_zone, missed, catch_up, overlap, next_at, paused)
select
    value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, nullif(value ->> 7, 0), value ->> 8
from json_each(?)
where true
on conflict (workflow, name) do nothing;

-- name: DefineTriggers
update squidmesh_trigger as t set
    expression = u.value ->> 2, time_zone = u.value ->> 3, missed = u.value ->> 4, catch_up = u.value ->> 5, overlap = u.value ->> 6,
    next_at = nullif(u.value ->> 7, 0)
from json_each(?) as u
where t.workflow = u.value ->> 0 and t.name = u.value ->> 1;

-- name: UpdateTriggers
update squidmesh_trigger as t set next_at = nullif(u.value ->> 7, 0)
from json_each(?) as u
where t.workflow = u.value ->> 0 and t.name = u.value ->> 1;

-- name: OperateTriggers
update squidmesh_trigger as t set
    next_at = nullif(u.value ->> 7, 0), paused = u.value ->> 8, changed_at = nullif(u.value ->> 9, 0),
    actor = nullif(u.value ->> 10, ''), comment = nullif(u.value ->> 11, '')
from json_each(?) as u
where t.workflow = u.value ->> 0 and t.name = u.value ->> 1;

-- name: InsertFires
-- A key or signal that exists is a window that has been fired.
insert into squidmesh_fire (
    workflow, name, key, signal_id, window_at, window_end, state, reason, run_id, fired_at, look_at, sent, job_id, actor, comment
) values (
    ?, ?, ?, ?, ?, nullif(?, 0), ?, nullif(?, ''), ?, ?, nullif(?, 0), ?, nullif(?, ''), nullif(?, ''), nullif(?, '')
)
on conflict do nothing;

-- name: UpdateFires
update squidmesh_fire as f set
    state = u.value ->> 6, reason = nullif(u.value ->> 7, ''), run_id = u.value ->> 8, look_at = nullif(u.value ->> 10, 0),
    sent = u.value ->> 11, job_id = nullif(u.value ->> 12, '')
from json_each(?) as u
where f.workflow = u.value ->> 0 and f.name = u.value ->> 1 and f.key = u.value ->> 2;

-- name: Fire
-- The columns of a fire, with the status of its run.
f.workflow, f.name, f.key, f.signal_id, f.window_at, coalesce(f.window_end, 0), f.state, coalesce(f.reason, ''), f.run_id, f.fired_at,
    coalesce(f.look_at, 0), f.sent, coalesce(f.job_id, ''), coalesce(f.actor, ''), coalesce(f.comment, ''), coalesce(r.status, '')

-- name: FireBySignal
select /* include Fire */
from squidmesh_fire as f left join squidmesh_run as r on r.id = f.run_id
where (f.workflow, f.name) in (select value ->> 0, value ->> 1 from json_each(?)) and f.signal_id = ?;

-- name: LateFires
select /* include Fire */
from squidmesh_fire as f left join squidmesh_run as r on r.id = f.run_id
where f.look_at <= ? and (f.workflow, f.name) in (select value ->> 0, value ->> 1 from json_each(?))
order by f.look_at, f.window_at
limit ?;

-- name: CommentedFires
-- Of one trigger, by the primary key.
select /* include Fire */
from squidmesh_fire as f left join squidmesh_run as r on r.id = f.run_id
where (f.workflow, f.name) in (select value ->> 0, value ->> 1 from json_each(?1)) and f.key > ?2 and f.comment is not null
order by f.key
limit ?3;

-- name: NewestFires
-- Of one trigger, by the index (workflow, name, window_at), backwards.
select /* include Fire */
from squidmesh_fire as f left join squidmesh_run as r on r.id = f.run_id
where f.workflow = ? and f.name = ?
order by f.window_at desc, f.key desc
limit ?;

-- name: FiresAhead
-- Of one trigger, by the indexes of unfinished runs and of queued fires.
select * from (
    select /* include Fire */
    from squidmesh_run as r
    join squidmesh_fire as f on f.workflow = r.workflow and f.name = r.trigger and f.window_at = r.window_at and f.run_id = r.id
    where r.workflow = ?1 and r.trigger = ?2 and r.window_at is not null and r.finished_at is null
    limit 1
)
union all
select * from (
    select /* include Fire */
    from squidmesh_fire as f left join squidmesh_run as r on r.id = f.run_id
    where f.workflow = ?1 and f.name = ?2 and f.state = 'queued' and f.window_at < ?3
    limit 1
);

-- name: CronDue
-- Of the triggers that are asked for: is one due, and is a fire to be looked after?
select
    exists (
        select 1 from squidmesh_trigger as t
        where not t.paused and t.next_at <= ?1 and (t.workflow, t.name) in (select value ->> 0, value ->> 1 from json_each(?2))
    ),
    exists (
        select 1 from squidmesh_fire as f
        where f.look_at <= ?1 and (f.workflow, f.name) in (select value ->> 0, value ->> 1 from json_each(?2))
    );
