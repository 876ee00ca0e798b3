-- name: Register
insert into /* schema */squidmesh_worker (id, name, queues, functions, shapes, registered_at, lease_until)
select @id, @name, @queues::text::json, @functions::text::json, @shapes::text::json, at, at + @lease::bigint * interval '1 microsecond'
from (select coalesce(@now::timestamptz, clock_timestamp()) as at) as now;

-- name: Roster
-- Locks and changes nothing, so that it can be asked within View. Workers are few; holds are found by their primary key.
select now.at, w.id, w.name, w.queues, w.functions, w.shapes, w.lease_until, w.lost_at
from (select coalesce($1::timestamptz, clock_timestamp()) as at) as now
left join /* schema */squidmesh_worker as w
    on w.lost_at is null or exists (select from /* schema */squidmesh_hold as h where h.worker = w.id)
order by w.id
limit $2;

-- name: Forget
-- Workers that were lost a day ago and hold nothing. Locked rows are somebody else's business.
delete from /* schema */squidmesh_worker
where id in (
    select id from /* schema */squidmesh_worker as w
    where lost_at < coalesce($1::timestamptz, clock_timestamp()) - interval '1 day'
        and not exists (select from /* schema */squidmesh_hold as h where h.worker = w.id)
    for update skip locked
);

-- name: Resign
update /* schema */squidmesh_worker set lost_at = coalesce($2::timestamptz, clock_timestamp()) where id = $1 and lost_at is null;

-- name: Beat
-- Waits for nothing but the worker's own row. registered_at is when the worker registered, or renewed its lease after a gap of more than
-- half of it: since then the database has been there for it. A clock that came back makes a gap too.
update /* schema */squidmesh_worker as w
set lease_until = now.at + @lease::bigint * interval '1 microsecond',
    registered_at = case
        when w.lease_until < now.at + @lease::bigint * interval '1 microsecond' / 2 or w.registered_at > now.at then now.at
        else w.registered_at
    end
from (select coalesce(@now::timestamptz, clock_timestamp()) as at) as now
where w.id = @worker and w.lost_at is null
returning now.at;

-- name: Tick
-- One statement a second and process. Its parts share one snapshot, so what expired changes is taken from what it returns. A worker
-- is expired only if a witness has renewed its own lease for as long as one lasts, up to now, without a gap of more than half of it:
-- after an outage the first one to come back must not judge the others, who could not come either. That the witness's lease still
-- runs is not enough: who renewed it last before an outage of most of a lease was away like all others. A worker whose row is locked is renewing its lease at this moment, so it
-- is not expired: SKIP LOCKED, without which two late workers could also wait for each other. Holds are found by their primary key, jobless rows by their own
-- partial index, and so are open decisions with a deadline. Attempts past theirs are found by the holds, which are as many as there
-- are deliveries at work: an index on the deadlines of attempts would cost every step more than this costs now and then.
--
-- The time is a scalar subquery, which an index can be searched by. Joined, it was seen to be a filter behind a scan of every step that
-- waits: three seconds with a million. For the like reason what the workers hold is looked up run by run (offset 0), however few rows
-- the tables had when the statement was planned.
with now as materialized (
    select coalesce(@now::timestamptz, clock_timestamp()) as at
),
expired as (
    update /* schema */squidmesh_worker set lost_at = (select at from now)
    where id in (
        select w.id from /* schema */squidmesh_worker as w
        where w.lost_at is null and w.id <> @worker and (@others or w.lease_until < (select at from now) and exists (
            select from /* schema */squidmesh_worker as witness
            where witness.lost_at is null
                and witness.lease_until >= (select at from now) + @lease::bigint * interval '1 microsecond' / 2
                and witness.registered_at <= (select at from now) - @lease::bigint * interval '1 microsecond'
        ))
        for update of w skip locked
    )
    returning id
),
lost as (
    select id from /* schema */squidmesh_worker where lost_at is not null
    union
    select id from expired
),
orphan as (
    select h.* from /* schema */squidmesh_hold as h join lost on lost.id = h.worker
    where (h.run_id, h.worker, h.name, h.phase) > (@orphan_run::uuid, @orphan_worker::bigint, @orphan_name::text, @orphan_phase::text)
    order by h.run_id, h.worker, h.name, h.phase
    limit @limit
),
verdict as (
    select distinct h.run_id from /* schema */squidmesh_hold as h
    cross join lateral (select verdict from /* schema */squidmesh_run where id = h.run_id offset 0) as r
    where h.worker = @worker and r.verdict <> ''
),
failed_block as (
    select b.run_id, b.name from unnest(@block_runs::uuid[], @block_names::text[]) as b (run_id, name)
    cross join lateral (
        select status from /* schema */squidmesh_step where run_id = b.run_id and name = b.name and phase = 'do' offset 0
    ) as s
    where s.status = 'failed'
),
jobless as (
    select s as step, s.run_id, s.name, s.phase from /* schema */squidmesh_step as s
    where s.due_at is not null and s.job_id is null and s.status = 'scheduled'
        and s.due_at < (select at from now) + @within::bigint * interval '1 microsecond'
        and (s.due_at, s.run_id, s.name, s.phase)
            > (@jobless_at::timestamptz, @jobless_run::uuid, @jobless_name::text, @jobless_phase::text)
    order by s.due_at, s.run_id, s.name, s.phase
    limit @limit
),
overdue as (
    select s as step, s.run_id, s.name, s.phase from /* schema */squidmesh_step as s
    where @overdue::bigint > 0 and s.due_at is not null and s.job_id is not null and s.status = 'scheduled'
        and s.due_at < (select at from now) - @overdue::bigint * interval '1 microsecond'
        and (s.due_at, s.run_id, s.name, s.phase)
            > (@overdue_at::timestamptz, @overdue_run::uuid, @overdue_name::text, @overdue_phase::text)
    order by s.due_at, s.run_id, s.name, s.phase
    limit @limit
),
expired_decision as (
    select s as step, s.run_id, s.name, s.phase from /* schema */squidmesh_step as s
    where s.open_until is not null and s.open_until <= (select at from now)
        and (s.open_until, s.run_id, s.name, s.phase)
            > (@expired_at::timestamptz, @expired_run::uuid, @expired_name::text, @expired_phase::text)
    order by s.open_until, s.run_id, s.name, s.phase
    limit @limit
),
late as (
    select s.step, s.run_id, s.name, s.phase, s.worker
    from (select distinct worker, run_id from /* schema */squidmesh_hold where @late::bigint > 0) as h
    cross join lateral (
        select s as step, s.* from /* schema */squidmesh_step as s where s.run_id = h.run_id offset 0
    ) as s
    where s.worker = h.worker and s.status = 'running' and s.deadline_at <= (select at from now) - @late::bigint * interval '1 microsecond'
        and (s.deadline_at, s.run_id, s.name, s.phase)
            > (@late_at::timestamptz, @late_run::uuid, @late_name::text, @late_phase::text)
    order by s.deadline_at, s.run_id, s.name, s.phase
    limit @limit
)
select now.at, exists (select from /* schema */squidmesh_worker where id = @worker and lost_at is null), part, owner, run_id, name, phase,
    coalesce((step).status, ''), coalesce((step).attempt, 0), coalesce((step).failures, 0), coalesce((step).losses, 0),
    coalesce((step).missing, 0), coalesce((step).done_seq, 0), coalesce((step).worker, 0), (step).due_at, (step).deadline_at,
    (step).started_at, (step).finished_at, coalesce((step).cause, ''), coalesce((step).job_id, ''), coalesce((step).queue, '')
from now, (
    select 'now' as part, 0::bigint as owner, null::uuid as run_id, '' as name, '' as phase, null::/* schema */squidmesh_step as step
    union all
    select 'orphan', worker, run_id, name, phase, null from orphan
    union all
    select 'verdict', 0, run_id, '', '', null from verdict
    union all
    select 'failed', 0, run_id, name, '', null from failed_block
    union all
    select 'jobless', 0, run_id, name, phase, step from jobless
    union all
    select 'overdue', 0, run_id, name, phase, step from overdue
    union all
    select 'expired', 0, run_id, name, phase, step from expired_decision
    union all
    select 'late', 0, run_id, name, phase, step from late
    union all
    select 'held', worker, run_id, name, phase, null from /* schema */squidmesh_hold where (worker, run_id) in (select worker, run_id from late)
    union all
    select 'untold', 0, null, '', '', null where exists (select from /* schema */squidmesh_untold)
    union all
    select 'trigger', 0, null, '', '', null where exists (
        select from /* schema */squidmesh_trigger as t
        where not t.paused and t.next_at <= (select at from now) and (t.workflow, t.name) in (select * from /* include Keys */)
    )
    union all
    select 'fire', 0, null, '', '', null where exists (
        select from /* schema */squidmesh_fire as f
        where f.look_at <= (select at from now) and (f.workflow, f.name) in (select * from /* include Keys */)
    )
) as found
order by part, coalesce((step).due_at, (step).deadline_at), run_id, owner, name, phase;
