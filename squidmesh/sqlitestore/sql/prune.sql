-- name: EndedRuns
select id from squidmesh_run
where status = ? and finished_at < ?
order by finished_at
limit ?;

-- name: DeleteSteps
delete from squidmesh_step where run_id in (select value from json_each(?));

-- name: DeleteAttempts
delete from squidmesh_attempt where run_id in (select value from json_each(?));

-- name: DeleteEvents
delete from squidmesh_event where run_id in (select value from json_each(?));

-- name: DeleteRunHolds
delete from squidmesh_hold where run_id in (select value from json_each(?));

-- name: IdleFires
-- Fires that started no run.
select workflow, name, key from squidmesh_fire
where state in ('skipped', 'refused') and fired_at < ?
order by fired_at
limit ?;

-- name: MarkPruned
-- Before a fire or a run of a window goes, its trigger remembers how far they have gone, of those that have begun.
update squidmesh_trigger as t set pruned_to = max(coalesce(t.pruned_to, 0), gone.at)
from (
    select workflow, name, max(at) as at from (
        select r.workflow, r.trigger as name, r.window_at as at
        from squidmesh_run as r
        where r.id in (select value from json_each(?1)) and r.window_at is not null
        union all
        select f.workflow, f.name, f.window_at
        from json_each(?2) as u
        join squidmesh_fire as f on f.workflow = u.value ->> 0 and f.name = u.value ->> 1 and f.key = u.value ->> 2
    )
    where at <= ?3
    group by workflow, name
) as gone
where t.workflow = gone.workflow and t.name = gone.name;

-- name: DeleteFires
-- By the index (workflow, name, window_at). A replay has its source's window, and no fire.
delete from squidmesh_fire
where (workflow, name, key) in (
    select f.workflow, f.name, f.key
    from squidmesh_run as r
    join squidmesh_fire as f on f.workflow = r.workflow and f.name = r.trigger and f.window_at = r.window_at and f.run_id = r.id
    where r.id in (select value from json_each(?))
);

-- name: DeleteIdleFires
delete from squidmesh_fire
where (workflow, name, key) in (select value ->> 0, value ->> 1, value ->> 2 from json_each(?));

-- name: DeleteRuns
delete from squidmesh_run where id in (select value from json_each(?));

-- name: LivingShapes
-- What explanations look up in the definitions of living workers.
select l.value from squidmesh_worker as w, json_each(w.shapes) as l where w.lost_at is null

-- name: DeleteShapes
delete from squidmesh_spec
where used_at < ? and shape not in (/* include LivingShapes */) and not exists (
    select 1 from squidmesh_run as r where r.workflow = squidmesh_spec.workflow and r.shape = squidmesh_spec.shape
);

-- name: CountPrunable
-- The least time stands for what is kept for ever.
select
    (select count(*) from squidmesh_run where status = 'completed' and finished_at < @completed),
    (select count(*) from squidmesh_run where status = 'failed' and finished_at < @failed),
    (select count(*) from squidmesh_run where status = 'cancelled' and finished_at < @cancelled),
    (select count(*) from squidmesh_fire where state in ('skipped', 'refused') and fired_at < @fires),
    (
        select count(*) from squidmesh_spec as s
        where s.used_at < @shapes and s.shape not in (/* include LivingShapes */) and not exists (
            select 1 from squidmesh_run as r
            where r.workflow = s.workflow and r.shape = s.shape and (
                r.finished_at is null
                or r.finished_at >= case r.status when 'completed' then @completed when 'failed' then @failed else @cancelled end
            )
        )
    );
