-- name: EndedRuns
-- The longest ended, by the partial index (status, finished_at). What another process prunes at this moment is left to it.
select id from /* schema */squidmesh_run
where status = $1 and finished_at < $2
order by finished_at
limit $3
for update skip locked;

-- name: DeleteSteps
delete from /* schema */squidmesh_step where run_id = any($1::uuid[]);

-- name: DeleteAttempts
delete from /* schema */squidmesh_attempt where run_id = any($1::uuid[]);

-- name: DeleteEvents
delete from /* schema */squidmesh_event where run_id = any($1::uuid[]);

-- name: DeleteRunHolds
-- Those of workers that died after their runs had ended. The table holds what is being worked on and nothing else, so it needs no
-- index for this.
delete from /* schema */squidmesh_hold where run_id = any($1::uuid[]);

-- name: IdleFires
-- Fires that started no run; they change no more, so they need no lock.
select workflow, name, key, window_at from /* schema */squidmesh_fire
where state in ('skipped', 'refused') and fired_at < $1
order by fired_at
limit $2;

-- name: MarkPruned
-- Before a fire or a run of a window goes, its trigger remembers how far they have gone, of those that have begun. Deliveries take turns on the same
-- rows, so none is between its look at the fire and the start of its run. In the order of their keys, as everywhere.
with mark as (
    select workflow, name, max(at) as at from (
        select r.workflow, r.trigger as name, r.window_at as at
        from /* schema */squidmesh_run as r
        where r.id = any($1::uuid[]) and r.window_at is not null
        union all
        select * from unnest($2::text[], $3::text[], $4::timestamptz[])
    ) as gone (workflow, name, at)
    where at <= $5
    group by workflow, name
),
locked as (
    select t.workflow, t.name, m.at
    from /* schema */squidmesh_trigger as t join mark as m on m.workflow = t.workflow and m.name = t.name
    order by t.workflow, t.name
    for no key update of t
)
update /* schema */squidmesh_trigger as t set pruned_to = greatest(t.pruned_to, l.at)
from locked as l
where t.workflow = l.workflow and t.name = l.name;

-- name: DeleteFires
-- By the index (workflow, name, window_at). A replay has its source's window, and no fire.
delete from /* schema */squidmesh_fire as f
using /* schema */squidmesh_run as r
where r.id = any($1::uuid[]) and f.workflow = r.workflow and f.name = r.trigger and f.window_at = r.window_at and f.run_id = r.id;

-- name: DeleteIdleFires
delete from /* schema */squidmesh_fire as f
using unnest($1::text[], $2::text[], $3::text[]) as u (workflow, name, key)
where f.workflow = u.workflow and f.name = u.name and f.key = u.key;

-- name: DeleteRuns
delete from /* schema */squidmesh_run where id = any($1::uuid[]);

-- name: LivingShapes
-- What explanations look up in the definitions of living workers.
(
    select json_array_elements_text(w.shapes) from /* schema */squidmesh_worker as w where w.lost_at is null
) as living

-- name: ShapeHasRuns
-- The oldest run is looked for, as a shape that nobody uses has old ones if any.
(
    select r.id from /* schema */squidmesh_run as r
    where r.workflow = s.workflow and r.shape = s.shape
    order by r.created_at, r.id
    limit 1
) is not null

-- name: UnusedShapes
-- A start counts on a shape that was noted within two hours. Of one whose note is older it holds the row, which is skipped here, until
-- its run is there for all to see; once the row is locked here it waits. Sorted, as notes lock them.
select s.shape from /* schema */squidmesh_spec as s
where s.used_at < $1 and s.shape not in (select * from /* include LivingShapes */) and not /* include ShapeHasRuns */
order by s.shape
for update skip locked;

-- name: DeleteShapes
-- Under the locks of UnusedShapes, in a statement of its own: that one does not see the run of a start which ended between its look at
-- the runs and its lock.
delete from /* schema */squidmesh_spec as s where s.shape = any($1::text[]) and not /* include ShapeHasRuns */;

-- name: CountPrunable
-- Infinities stand for what is kept for ever.
select
    (select count(*) from /* schema */squidmesh_run where status = 'completed' and finished_at < @completed),
    (select count(*) from /* schema */squidmesh_run where status = 'failed' and finished_at < @failed),
    (select count(*) from /* schema */squidmesh_run where status = 'cancelled' and finished_at < @cancelled),
    (select count(*) from /* schema */squidmesh_fire where state in ('skipped', 'refused') and fired_at < @fires),
    (
        select count(*) from /* schema */squidmesh_spec as s
        where s.used_at < @shapes and s.shape not in (select * from /* include LivingShapes */) and (
            select r.id from /* schema */squidmesh_run as r
            where r.workflow = s.workflow and r.shape = s.shape and (
                r.finished_at is null
                or r.finished_at >= case r.status
                    when 'completed' then @completed::timestamptz when 'failed' then @failed::timestamptz else @cancelled::timestamptz
                end
            )
            order by r.created_at desc, r.id desc
            limit 1
        ) is null
    );
