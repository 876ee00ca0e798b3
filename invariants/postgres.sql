-- What must hold of squidmesh's tables in PostgreSQL. Each query returns the rows that break its rule: the run and what is wrong.
-- All of them return nothing, at every moment; those marked timed do so as long as a process is running, and need
-- a little patience, the grace. They read whole tables, so run them where that is no matter, in one transaction of isolation
-- level REPEATABLE READ: `psql -1 -f postgres.sql`, or package invariants.

-- name: open_counter
-- A run's open counter equals its rows that are due, claimed or paused, blocks aside.
-- why: Zero means drained: one too many and the run never ends, one too few and it ends while steps are at work.
with definition as (
    select s.shape, d.*
    from /* schema */squidmesh_spec as s
    cross join lateral json_to_recordset(s.body -> 'steps') as d (name text, kind text, block text, has_undo boolean)
)
select r.id as run, 'open is ' || r.open || ', its rows say ' || count(s.name) as what
from /* schema */squidmesh_run as r
left join definition as d on d.shape = r.shape and d.kind <> 'block'
left join /* schema */squidmesh_step as s on s.run_id = r.id and s.name = d.name
    and (s.status in ('running', 'paused') or s.status = 'scheduled' and s.missing = 0)
group by r.id, r.open
having r.open <> count(s.name);

-- name: retrying_counter
-- A run's retrying counter equals its scheduled rows that have failed before.
-- why: The status retrying is decided by comparing it with the open counter.
select r.id as run, 'retrying is ' || r.retrying || ', its rows say ' || count(s.name) as what
from /* schema */squidmesh_run as r
left join /* schema */squidmesh_step as s on s.run_id = r.id and s.status = 'scheduled' and s.failures > 0
group by r.id, r.retrying
having r.retrying <> count(s.name);

-- name: terminal_run_is_closed
-- A run that has ended has no row that is scheduled, running or paused.
-- why: Nothing happens to such a run any more, so whatever is left open would stay so for ever.
select r.id as run, s.name || ' ' || s.phase || ' is ' || s.status || ' in a run that is ' || r.status as what
from /* schema */squidmesh_run as r
join /* schema */squidmesh_step as s on s.run_id = r.id
where r.status in ('completed', 'failed', 'cancelled') and s.status in ('scheduled', 'running', 'paused');

-- name: terminal_run_is_let_go
-- No living worker holds a run that has ended.
-- why: A hold is given up in the transaction that ends its attempt. Those of lost workers go a moment later, and that of an attempt
-- which others recorded as timed out may stay as long as its worker.
select r.id as run, 'held by worker ' || h.worker || ' at ' || h.name || ' ' || h.phase as what
from /* schema */squidmesh_run as r
join /* schema */squidmesh_hold as h on h.run_id = r.id
join /* schema */squidmesh_worker as w on w.id = h.worker and w.lost_at is null
where r.status in ('completed', 'failed', 'cancelled')
    and not exists (
        select 1 from /* schema */squidmesh_attempt as a
        where a.run_id = h.run_id and a.worker = h.worker and a.outcome = 'failed' and a.error ->> 'code' = 'timeout'
    );

-- name: run_finish_time
-- A run has a finish time if and only if it has ended, and it is not before its start.
-- why: Retention and durations go by it.
select r.id as run, 'is ' || r.status || ', finish time ' || coalesce(cast(r.finished_at as text), 'none') as what
from /* schema */squidmesh_run as r
where (r.status in ('completed', 'failed', 'cancelled')) <> (r.finished_at is not null) or r.finished_at < r.created_at;

-- name: verdict_and_status
-- A run ends as its verdict says, and only one with a verdict cancels, compensates, fails or is cancelled.
-- why: A verdict is final: a run that completes over it has lost a cancel or hidden a failure.
select r.id as run, 'is ' || r.status || ' with verdict "' || r.verdict || '"' as what
from /* schema */squidmesh_run as r
where r.status = 'completed' and r.verdict <> ''
    or r.status in ('failed', 'cancelled') and r.verdict <> r.status
    or r.status = 'cancelling' and r.verdict <> 'cancelled'
    or r.status = 'compensating' and (r.verdict = '' or not r.compensate)
    or r.verdict = 'cancelled' and r.status not in ('cancelling', 'compensating', 'cancelled');

-- name: failed_run_has_reason
-- A run whose verdict is failed says what failed.
-- why: It is the first thing that an operator reads.
select r.id as run, 'failed without a reason' as what
from /* schema */squidmesh_run as r
where r.verdict = 'failed' and r.reason is null;

-- name: active_run_is_open
-- A run that has not ended has an attempt at work, a delivery to come or an open decision.
-- why: Otherwise nothing would ever move it again: it is stuck.
with definition as (
    select s.shape, d.*
    from /* schema */squidmesh_spec as s
    cross join lateral json_to_recordset(s.body -> 'steps') as d (name text, kind text, block text, has_undo boolean)
)
select r.id as run, 'is ' || r.status || ' with nothing open' as what
from /* schema */squidmesh_run as r
where r.status not in ('completed', 'failed', 'cancelled') and not exists (
    select 1 from /* schema */squidmesh_step as s
    join definition as d on d.shape = r.shape and d.name = s.name and d.kind <> 'block'
    where s.run_id = r.id and (s.status in ('running', 'paused') or s.status = 'scheduled' and s.due_at is not null)
);

-- name: status_precedence
-- A run without a verdict is paused when only decisions are open, retrying when only retries are to come, and neither otherwise.
-- why: Lists and alarms go by the status alone.
with definition as (
    select s.shape, d.*
    from /* schema */squidmesh_spec as s
    cross join lateral json_to_recordset(s.body -> 'steps') as d (name text, kind text, block text, has_undo boolean)
),
counted as (
    select s.run_id, count(*) as open, sum(case when s.status = 'paused' then 1 else 0 end) as paused,
        sum(case when s.status = 'scheduled' and s.failures > 0 then 1 else 0 end) as retrying
    from /* schema */squidmesh_step as s
    join /* schema */squidmesh_run as r on r.id = s.run_id
    join definition as d on d.shape = r.shape and d.name = s.name and d.kind <> 'block'
    where s.status in ('running', 'paused') or s.status = 'scheduled' and s.missing = 0
    group by s.run_id
)
select r.id as run, 'is ' || r.status || ' with ' || c.open || ' open, ' || c.paused || ' paused, ' || c.retrying || ' retrying' as what
from /* schema */squidmesh_run as r
join counted as c on c.run_id = r.id
where r.verdict = '' and r.status not in ('completed', 'failed', 'cancelled')
    and ((r.status = 'paused') <> (c.open = c.paused) or (r.status = 'retrying') <> (c.open = c.retrying));

-- name: pending_run_is_untouched
-- Nothing of a pending run was ever claimed.
-- why: Pending tells operators that no worker has seen the run.
select r.id as run, 'is pending, but entry ' || e.seq || ' is ' || e.kind as what
from /* schema */squidmesh_run as r
join /* schema */squidmesh_event as e on e.run_id = r.id and e.kind in ('claimed', 'succeeded', 'failed', 'retried')
where r.status = 'pending';

-- name: spec_exists
-- The definition that a run is pinned to is stored.
-- why: Without it no process can go on with the run or explain it.
select r.id as run, 'shape ' || r.shape || ' of ' || r.workflow || ' is not stored' as what
from /* schema */squidmesh_run as r
where not exists (select 1 from /* schema */squidmesh_spec as s where s.shape = r.shape and s.workflow = r.workflow);

-- name: row_in_spec
-- Every row belongs to a run and to a step of its definition, an undo to a step that has one.
-- why: A row that nothing refers to counts in no decision, or cannot be decided at all.
with definition as (
    select s.shape, d.*
    from /* schema */squidmesh_spec as s
    cross join lateral json_to_recordset(s.body -> 'steps') as d (name text, kind text, block text, has_undo boolean)
)
select s.run_id as run, s.name || ' ' || s.phase || ' is no step of the definition' as what
from /* schema */squidmesh_step as s
left join /* schema */squidmesh_run as r on r.id = s.run_id
left join definition as d on d.shape = r.shape and d.name = s.name
where r.id is null or d.name is null and exists (select 1 from /* schema */squidmesh_spec as p where p.shape = r.shape)
    or s.phase = 'undo' and not coalesce(d.has_undo, d.name is null);

-- name: one_place_on_the_spine
-- At most one step of a run's spine is open; a block counts as one.
-- why: The spine is a sequence: two open steps mean that one was reached twice, or that its predecessor was not done.
with definition as (
    select s.shape, d.*
    from /* schema */squidmesh_spec as s
    cross join lateral json_to_recordset(s.body -> 'steps') as d (name text, kind text, block text, has_undo boolean)
)
select s.run_id as run, count(*) || ' steps of the spine are open, ' || min(s.name) || ' and ' || max(s.name) as what
from /* schema */squidmesh_step as s
join /* schema */squidmesh_run as r on r.id = s.run_id
join definition as d on d.shape = r.shape and d.name = s.name and coalesce(d.block, '') = ''
where s.phase = 'do' and s.status in ('scheduled', 'running', 'paused')
group by s.run_id
having count(*) > 1;

-- name: block_follows_children
-- A block has completed only if all of its children have, and runs only while one of them is open, unless the run is draining.
-- why: A block is left when its last child ends: one that is left behind stands still.
with definition as (
    select s.shape, d.*
    from /* schema */squidmesh_spec as s
    cross join lateral json_to_recordset(s.body -> 'steps') as d (name text, kind text, block text, has_undo boolean)
)
select b.run_id as run, b.name || ' is ' || b.status || ', children completed ' || sum(case when c.status = 'completed' then 1 else 0 end)
    || ' of ' || count(*) as what
from /* schema */squidmesh_step as b
join /* schema */squidmesh_run as r on r.id = b.run_id
join definition as d on d.shape = r.shape and d.block = b.name
left join /* schema */squidmesh_step as c on c.run_id = b.run_id and c.name = d.name and c.phase = 'do'
where b.phase = 'do' and b.status in ('running', 'completed') and r.verdict = ''
group by b.run_id, b.name, b.status
having b.status = 'completed' and sum(case when c.status = 'completed' then 1 else 0 end) < count(*)
    or b.status = 'running' and sum(case when c.status = 'running' or c.status = 'scheduled' and c.missing = 0 then 1 else 0 end) = 0;

-- name: missing_counter
-- The missing counter of a row that waits in a block equals its dependencies that have not completed.
-- why: At zero the step starts: one too few starts it early, one too many never.
with dependency as (
    select s.shape, d.name, d.block, needed.needs
    from /* schema */squidmesh_spec as s
    cross join lateral json_to_recordset(s.body -> 'steps') as d (name text, block text, "after" json)
    cross join lateral json_array_elements_text(d."after") as needed (needs)
)
select s.run_id as run, s.name || ': missing is ' || s.missing || ', not completed are ' || count(*) - count(done.name) as what
from /* schema */squidmesh_step as s
join /* schema */squidmesh_run as r on r.id = s.run_id
join dependency as d on d.shape = r.shape and d.name = s.name
left join /* schema */squidmesh_step as done on done.run_id = s.run_id and done.name = d.needs and done.phase = 'do' and done.status = 'completed'
where s.phase = 'do' and s.status = 'scheduled'
group by s.run_id, s.name, s.missing
having s.missing <> count(*) - count(done.name);

-- name: dependencies_met
-- What a step in a block depends on has completed before the step is at work or done; and once one of its dependencies has
-- completed in a running block, the step has a row.
-- why: The counters are kept by hand, dependency by dependency; a step without a row is never counted down.
with dependency as (
    select s.shape, d.name, d.block, needed.needs
    from /* schema */squidmesh_spec as s
    cross join lateral json_to_recordset(s.body -> 'steps') as d (name text, block text, "after" json)
    cross join lateral json_array_elements_text(d."after") as needed (needs)
)
select s.run_id as run, s.name || ' is ' || s.status || ' without ' || d.needs as what
from /* schema */squidmesh_step as s
join /* schema */squidmesh_run as r on r.id = s.run_id
join dependency as d on d.shape = r.shape and d.name = s.name
where s.phase = 'do' and s.status in ('running', 'completed') and not exists (
    select 1 from /* schema */squidmesh_step as done
    where done.run_id = s.run_id and done.name = d.needs and done.phase = 'do' and done.status = 'completed'
)
union all
select b.run_id, d.name || ' has no row, though ' || d.needs || ' has completed'
from /* schema */squidmesh_step as b
join /* schema */squidmesh_run as r on r.id = b.run_id
join dependency as d on d.shape = r.shape and d.block = b.name
join /* schema */squidmesh_step as done on done.run_id = b.run_id and done.name = d.needs and done.phase = 'do' and done.status = 'completed'
where b.phase = 'do' and b.status = 'running' and not exists (
    select 1 from /* schema */squidmesh_step as s where s.run_id = b.run_id and s.name = d.name and s.phase = 'do'
);

-- name: running_row_is_claimed
-- A row that is running, blocks aside, has a worker, a start and a deadline, and no due time.
-- why: Take-over and timeout find it by these.
with definition as (
    select s.shape, d.*
    from /* schema */squidmesh_spec as s
    cross join lateral json_to_recordset(s.body -> 'steps') as d (name text, kind text, block text, has_undo boolean)
)
select s.run_id as run, s.name || ' ' || s.phase || ' is running without worker, start or deadline, or with a due time' as what
from /* schema */squidmesh_step as s
join /* schema */squidmesh_run as r on r.id = s.run_id
join definition as d on d.shape = r.shape and d.name = s.name and d.kind <> 'block'
where s.status = 'running'
    and (s.worker is null or s.started_at is null or s.deadline_at is null or s.due_at is not null);

-- name: running_row_is_held
-- The worker of a row that is running holds the run.
-- why: When a worker dies, its runs are found by its holds alone.
with definition as (
    select s.shape, d.*
    from /* schema */squidmesh_spec as s
    cross join lateral json_to_recordset(s.body -> 'steps') as d (name text, kind text, block text, has_undo boolean)
)
select s.run_id as run, s.name || ' ' || s.phase || ' runs at worker ' || coalesce(cast(s.worker as text), 'nobody') || ', which holds nothing' as what
from /* schema */squidmesh_step as s
join /* schema */squidmesh_run as r on r.id = s.run_id
join definition as d on d.shape = r.shape and d.name = s.name and d.kind <> 'block'
where s.status = 'running'
    and not exists (select 1 from /* schema */squidmesh_hold as h where h.worker = s.worker and h.run_id = s.run_id);

-- name: hold_has_attempt
-- A living worker that holds a run has an attempt at work in it, and every holder is a worker that is known.
-- why: A hold that outlives its attempt is taken over for nothing; one of an unknown worker is never found.
select h.run_id as run, 'held by worker ' || h.worker || ' at ' || h.name || ' ' || h.phase || ' for nothing' as what
from /* schema */squidmesh_hold as h
left join /* schema */squidmesh_worker as w on w.id = h.worker
where w.id is null or w.lost_at is null
    and not exists (
        select 1 from /* schema */squidmesh_step as s where s.run_id = h.run_id and s.worker = h.worker and s.status = 'running'
    )
    and not exists (
        select 1 from /* schema */squidmesh_attempt as a
        where a.run_id = h.run_id and a.worker = h.worker and a.outcome = 'failed' and a.error ->> 'code' = 'timeout'
    );

-- name: due_time
-- A row has a due time if and only if it is scheduled and waits for nothing else, and a deadline only while it is running or
-- paused.
-- why: Both are what the timers look for: a row without its due time is never delivered again.
select s.run_id as run, s.name || ' ' || s.phase || ' is ' || s.status || ', missing ' || s.missing || ', due '
    || coalesce(cast(s.due_at as text), 'never') as what
from /* schema */squidmesh_step as s
where (s.status = 'scheduled' and s.missing = 0) <> (s.due_at is not null)
    or s.deadline_at is not null and s.status not in ('running', 'paused') or s.missing < 0;

-- name: step_finish_time
-- A row that has reached its end says when, and one that is at work or to come has not ended.
-- why: Durations go by it.
select s.run_id as run, s.name || ' ' || s.phase || ' is ' || s.status || ', finish time ' || coalesce(cast(s.finished_at as text), 'none') as what
from /* schema */squidmesh_step as s
where s.status in ('completed', 'failed', 'cancelled') and s.finished_at is null
    or s.status in ('scheduled', 'running') and s.finished_at is not null;

-- name: attempt_counter
-- Of every attempt before the present one there is a record, and none of a later one.
-- why: The attempt is the fence: a number that was skipped or used twice lets a worker write that has lost its claim.
select s.run_id as run, s.name || ' ' || s.phase || ' is at attempt ' || s.attempt || ', ' || count(a.attempt) || ' before it are recorded' as what
from /* schema */squidmesh_step as s
left join /* schema */squidmesh_attempt as a on a.run_id = s.run_id and a.name = s.name and a.phase = s.phase and a.attempt < s.attempt
group by s.run_id, s.name, s.phase, s.attempt
having count(a.attempt) <> s.attempt - 1
union all
select a.run_id, a.name || ' ' || a.phase || ' attempt ' || a.attempt || ' is recorded before it was claimed'
from /* schema */squidmesh_attempt as a
left join /* schema */squidmesh_step as s on s.run_id = a.run_id and s.name = a.name and s.phase = a.phase
where s.attempt is null or a.attempt > s.attempt or a.attempt = s.attempt and s.status in ('scheduled', 'running');

-- name: attempt_outcome
-- A step that completed at a later attempt has a record of its success; one that failed, of its failure or loss.
-- why: The record is written in the transaction that ends the attempt: without it something else ended the step.
with definition as (
    select s.shape, d.*
    from /* schema */squidmesh_spec as s
    cross join lateral json_to_recordset(s.body -> 'steps') as d (name text, kind text, block text, has_undo boolean)
)
select s.run_id as run, s.name || ' ' || s.phase || ' is ' || s.status || ' at attempt ' || s.attempt || ', recorded as '
    || coalesce(a.outcome, 'nothing') as what
from /* schema */squidmesh_step as s
join /* schema */squidmesh_run as r on r.id = s.run_id
join definition as d on d.shape = r.shape and d.name = s.name and d.kind <> 'block'
left join /* schema */squidmesh_attempt as a on a.run_id = s.run_id and a.name = s.name and a.phase = s.phase and a.attempt = s.attempt
where s.status = 'completed' and coalesce(a.outcome, case when s.attempt = 1 then 'succeeded' else 'nothing' end) <> 'succeeded'
    or s.status = 'failed' and coalesce(a.outcome, 'nothing') not in ('failed', 'lost');

-- name: failures_counter
-- A step's failures equal the attempts that are recorded as failed; an operator who retries an undo sets them back, and neither a
-- rejection nor the end of a decision's time is a failure of a function.
-- why: They are what the retry budget is measured by.
with definition as (
    select s.shape, d.*
    from /* schema */squidmesh_spec as s
    cross join lateral json_to_recordset(s.body -> 'steps') as d (name text, kind text, block text, has_undo boolean)
)
select s.run_id as run, s.name || ' ' || s.phase || ': failures is ' || s.failures || ', recorded are ' || count(a.attempt) as what
from /* schema */squidmesh_step as s
join /* schema */squidmesh_run as r on r.id = s.run_id
join definition as d on d.shape = r.shape and d.name = s.name
left join /* schema */squidmesh_attempt as a on a.run_id = s.run_id and a.name = s.name and a.phase = s.phase and a.outcome = 'failed'
group by s.run_id, s.name, s.phase, s.failures, d.kind
having s.failures > count(a.attempt) or s.failures < count(a.attempt) and s.phase = 'do' and d.kind not in ('approval', 'pause');

-- name: losses_counter
-- A step's losses equal the attempts that are recorded as lost with their worker; an operator who retries an undo sets them back.
-- why: They cap what a step that kills its workers may do.
select s.run_id as run, s.name || ' ' || s.phase || ': losses is ' || s.losses || ', recorded are ' || count(a.attempt) as what
from /* schema */squidmesh_step as s
left join /* schema */squidmesh_attempt as a on a.run_id = s.run_id and a.name = s.name and a.phase = s.phase and a.outcome = 'lost'
group by s.run_id, s.name, s.phase, s.losses
having s.losses > count(a.attempt) or s.losses < count(a.attempt) and s.phase = 'do';

-- name: completion
-- A row that completed, and no other, points at the entry of its completion, by the attempt that it is at.
-- why: That entry holds the output, and its number is the order in which undos go back. Another attempt there is a broken fence.
with definition as (
    select s.shape, d.*
    from /* schema */squidmesh_spec as s
    cross join lateral json_to_recordset(s.body -> 'steps') as d (name text, kind text, block text, has_undo boolean)
)
select s.run_id as run, s.name || ' ' || s.phase || ' is ' || s.status || ' at attempt ' || s.attempt || ', completed by entry '
    || coalesce(s.done_seq, 0) || ' ' || coalesce(e.kind || ' ' || e.step || ' ' || e.attempt, 'which is not there') as what
from /* schema */squidmesh_step as s
join /* schema */squidmesh_run as r on r.id = s.run_id
join definition as d on d.shape = r.shape and d.name = s.name
left join /* schema */squidmesh_event as e on e.run_id = s.run_id and e.seq = s.done_seq
where s.status <> 'completed' and s.done_seq is not null
    or s.status = 'completed' and (e.seq is null or d.kind <> 'block' and (e.step <> s.name or e.phase <> s.phase or e.attempt <> s.attempt
        or e.kind not in ('succeeded', 'approved', 'unblocked', 'undone')));

-- name: completed_once
-- No phase of a step has two entries of its completion.
-- why: A second checkpoint means that two workers were believed.
select e.run_id as run, e.step || ' ' || e.phase || ' has completed ' || count(*) || ' times' as what
from /* schema */squidmesh_event as e
where e.kind in ('succeeded', 'approved', 'unblocked', 'undone')
group by e.run_id, e.step, e.phase
having count(*) > 1;

-- name: claimed_once
-- No attempt was claimed twice, and no entry is about an attempt beyond the row's.
-- why: The first delivery of an attempt claims it; a second claim means that two workers were given the same one.
select e.run_id as run, e.step || ' ' || e.phase || ' attempt ' || e.attempt || ' was claimed ' || count(*) || ' times' as what
from /* schema */squidmesh_event as e
where e.kind = 'claimed'
group by e.run_id, e.step, e.phase, e.attempt
having count(*) > 1
union all
select e.run_id, 'entry ' || e.seq || ' is about attempt ' || e.attempt || ' of ' || e.step || ' ' || e.phase || ', which is at '
    || coalesce(s.attempt, 0)
from /* schema */squidmesh_event as e
left join /* schema */squidmesh_step as s on s.run_id = e.run_id and s.name = e.step and s.phase = e.phase
where e.step <> '' and e.attempt > coalesce(s.attempt, 0);

-- name: undo_one_at_a_time
-- At most one undo of a run is scheduled or running.
-- why: Undos go back in order, each over what the one before has left.
select s.run_id as run, count(*) || ' undos are open, ' || min(s.name) || ' and ' || max(s.name) as what
from /* schema */squidmesh_step as s
where s.phase = 'undo' and s.status in ('scheduled', 'running')
group by s.run_id
having count(*) > 1;

-- name: undo_after_drain
-- Undos begin only once every step of the run has reached its end, in a run that has a verdict and is to be compensated.
-- why: What is undone while a sibling still works could be done again, or pulled from under it.
select u.run_id as run, 'undo of ' || u.name || ' is ' || u.status || ' in a run that is ' || r.status || ', while '
    || coalesce(s.name || ' is ' || s.status, 'nothing is to be compensated') as what
from /* schema */squidmesh_step as u
join /* schema */squidmesh_run as r on r.id = u.run_id
left join /* schema */squidmesh_step as s on s.run_id = u.run_id and s.phase = 'do' and s.status in ('scheduled', 'running', 'paused')
where u.phase = 'undo' and (s.name is not null or r.verdict = '' or not r.compensate);

-- name: undo_of_completed
-- Only a step that has completed is undone.
-- why: Taking back what was not done is an effect of its own.
select u.run_id as run, 'undo of ' || u.name || ', which is ' || coalesce(s.status, 'not there') as what
from /* schema */squidmesh_step as u
left join /* schema */squidmesh_step as s on s.run_id = u.run_id and s.name = u.name and s.phase = 'do'
where u.phase = 'undo' and coalesce(s.status, '') <> 'completed';

-- name: undo_order
-- Undos were first claimed in the reverse order of their steps' completion.
-- why: A later step may build on what an earlier one did.
with begun as (
    select e.run_id, e.step as name, min(e.seq) as seq, min(s.done_seq) as done_seq
    from /* schema */squidmesh_event as e
    join /* schema */squidmesh_step as s on s.run_id = e.run_id and s.name = e.step and s.phase = 'do'
    where e.kind = 'claimed' and e.phase = 'undo'
    group by e.run_id, e.step
)
select a.run_id as run, 'undo of ' || a.name || ' began before that of ' || b.name || ', which completed later' as what
from begun as a
join begun as b on b.run_id = a.run_id and b.seq > a.seq
where b.done_seq > a.done_seq;

-- name: undo_of_all
-- A run that was compensated has undone every completed step that has an undo, or an operator has accepted that it was not.
-- why: A forgotten undo is money that nobody gives back.
with definition as (
    select s.shape, d.*
    from /* schema */squidmesh_spec as s
    cross join lateral json_to_recordset(s.body -> 'steps') as d (name text, kind text, block text, has_undo boolean)
)
select s.run_id as run, s.name || ' has completed, its undo is ' || coalesce(u.status, 'not there') as what
from /* schema */squidmesh_step as s
join /* schema */squidmesh_run as r on r.id = s.run_id
join definition as d on d.shape = r.shape and d.name = s.name and d.has_undo
left join /* schema */squidmesh_step as u on u.run_id = s.run_id and u.name = s.name and u.phase = 'undo'
where r.status in ('failed', 'cancelled') and r.compensate and s.phase = 'do' and s.status = 'completed'
    and coalesce(u.status, '') not in ('completed', 'failed');

-- name: audit_gapless
-- The entries of a run are numbered from one without gaps, up to the number that the run's row has, which is also its version.
-- why: Each transition writes exactly one: a gap is a decision that was lost or never recorded.
select r.id as run, 'has seq ' || r.seq || ' and version ' || r.version || ', ' || count(e.seq) || ' entries from '
    || coalesce(min(e.seq), 0) || ' to ' || coalesce(max(e.seq), 0) as what
from /* schema */squidmesh_run as r
left join /* schema */squidmesh_event as e on e.run_id = r.id
group by r.id, r.seq, r.version
having count(e.seq) <> r.seq or coalesce(min(e.seq), 0) <> 1 or coalesce(max(e.seq), 0) <> r.seq or r.version <> r.seq
union all
select e.run_id, 'entry ' || e.seq || ' belongs to no run'
from /* schema */squidmesh_event as e
where not exists (select 1 from /* schema */squidmesh_run as r where r.id = e.run_id);

-- name: audit_times
-- The entries of a run never go back in time, and the run's row has the time of the newest.
-- why: Durations are read off them.
select e.run_id as run, 'entry ' || e.seq || ' is earlier than the one before' as what
from (select run_id, seq, at, lag(at) over (partition by run_id order by seq) as earlier from /* schema */squidmesh_event) as e
where e.at < e.earlier
union all
select r.id, 'the newest entry is not of the time that the run has'
from /* schema */squidmesh_run as r
join /* schema */squidmesh_event as e on e.run_id = r.id and e.seq = r.seq
where e.at <> r.last_at;

-- name: audit_starts
-- The first entry of a run, and no other, is its start.
-- why: A second start means that two runs share an id.
select e.run_id as run, 'entry ' || e.seq || ' is ' || e.kind as what
from /* schema */squidmesh_event as e
where (e.seq = 1) <> (e.kind = 'started');

-- name: audit_ends
-- The last entry of a run that has ended is one that can end it, of the time at which it finished.
-- why: Terminal means that nothing happens any more, take-overs and redeliveries included.
select r.id as run, 'is ' || r.status || ', but its last entry is ' || e.kind as what
from /* schema */squidmesh_run as r
join /* schema */squidmesh_event as e on e.run_id = r.id and e.seq = r.seq
where r.status in ('completed', 'failed', 'cancelled')
    and (e.kind in ('started', 'claimed', 'retried', 'enqueued', 'redelivered', 'undo_failed', 'undo_retried') or e.at <> r.finished_at);

-- name: keys_unique
-- A workflow has at most one run of a key.
-- why: The key is what makes a start idempotent.
select cast(null as text) as run, count(*) || ' runs of ' || r.workflow || ' have the key ' || r.key as what
from /* schema */squidmesh_run as r
where r.key is not null
group by r.workflow, r.key
having count(*) > 1;

-- name: lost_workers_hold_nothing
-- timed
-- What a lost worker held has been taken over.
-- why: Until then its steps stand still.
select h.run_id as run, 'held by worker ' || h.worker || ' since ' || h.name || ' ' || h.phase || ', which is lost' as what
from /* schema */squidmesh_hold as h
join /* schema */squidmesh_worker as w on w.id = h.worker
where w.lost_at < clock_timestamp() - /* grace */ 60 * interval '1 second'
    and exists (select 1 from /* schema */squidmesh_worker as other where other.lost_at is null and other.lease_until > clock_timestamp());

-- name: silent_workers_are_lost
-- timed
-- A worker whose lease has run out is declared lost.
-- why: Only then are its steps taken over.
select cast(null as text) as run, 'worker ' || w.id || ' ' || w.name || ' is silent' as what
from /* schema */squidmesh_worker as w
where w.lost_at is null and w.lease_until < clock_timestamp() - /* grace */ 60 * interval '1 second'
    and exists (select 1 from /* schema */squidmesh_worker as other where other.lost_at is null and other.lease_until > clock_timestamp());

-- name: due_rows_are_claimed
-- timed
-- What is due has been claimed, if a living worker has the run's definition. A paused or crowded queue breaks this too.
-- why: A delivery that got lost must come again.
with definition as (
    select s.shape, d.*
    from /* schema */squidmesh_spec as s
    cross join lateral json_to_recordset(s.body -> 'steps') as d (name text, kind text, block text, has_undo boolean)
)
select s.run_id as run, s.name || ' ' || s.phase || ' attempt ' || s.attempt || ' is overdue, job ' || coalesce(s.job_id, 'none') as what
from /* schema */squidmesh_step as s
join /* schema */squidmesh_run as r on r.id = s.run_id
join definition as d on d.shape = r.shape and d.name = s.name
where s.status = 'scheduled' and s.due_at < clock_timestamp() - /* grace */ 60 * interval '1 second'
    and exists (
        select 1 from /* schema */squidmesh_worker as w
        where w.lost_at is null and w.lease_until > clock_timestamp()
            and (d.kind = 'wait' or w.shapes::jsonb ? r.shape)
    );

-- name: deadlines_are_kept
-- timed
-- No attempt is at work and no decision open past its deadline.
-- why: The worker records a timeout by itself, whatever the function does, and else some other one does, as of decisions.
select s.run_id as run, s.name || ' ' || s.phase || ' attempt ' || s.attempt || ' is past its deadline' as what
from /* schema */squidmesh_step as s
where s.status in ('running', 'paused') and s.deadline_at < clock_timestamp() - /* grace */ 60 * interval '1 second';

-- name: fire_has_its_run
-- A fire that has started a run points to a run of its trigger and window, which is no replay.
-- why: It says of the window that all is done; retention takes both together.
select f.run_id as run, 'fire ' || f.key || ' of ' || f.workflow || '/' || f.name || ' has started a run that is '
    || case when r.id is null then 'not there' else 'of ' || r.workflow || '/' || r.trigger || ' or for another window' end as what
from /* schema */squidmesh_fire as f
left join /* schema */squidmesh_run as r on r.id = f.run_id
where f.state = 'started' and (
    r.id is null or r.workflow <> f.workflow or r.trigger <> f.name or r.replayed_from is not null
    or r.window_at <> f.window_at or r.window_end <> f.window_end
);

-- name: one_run_per_window
-- At most one run was started for a window of a trigger, apart from replays and from fires by hand.
-- why: That is what cron promises, whatever is delivered twice.
select cast(null as text) as run, count(*) || ' runs of ' || r.workflow || '/' || r.trigger || ' are for the window '
    || cast(r.window_at as text) as what
from /* schema */squidmesh_run as r
where r.window_at is not null and r.window_end is not null and r.replayed_from is null and r.signal_id not like 'now:%'
group by r.workflow, r.trigger, r.window_at, r.window_end
having count(*) > 1;

-- name: cron_run_has_arrival
-- A run with a window or a signal says when its delivery arrived, which was not after its start.
-- why: How late a window came is reckoned from it.
select r.id as run, 'started by signal ' || coalesce(r.signal_id, 'none') || ', arrived ' || coalesce(cast(r.received_at as text), 'never') as what
from /* schema */squidmesh_run as r
where r.received_at is null and (r.window_at is not null or r.signal_id is not null) or r.received_at > r.created_at;

-- name: pending_fire_has_job
-- A fire that is pending has been handed to the executor.
-- why: It is the only thing that brings its run about.
select f.run_id as run, 'fire ' || f.key || ' of ' || f.workflow || '/' || f.name || ' is pending without a job' as what
from /* schema */squidmesh_fire as f
where f.state = 'pending' and (f.job_id is null or f.sent < 1);

-- name: fire_has_reason
-- A fire that has started no run, or waits, says why.
-- why: Nobody else knows what became of the window.
select f.run_id as run, 'fire ' || f.key || ' of ' || f.workflow || '/' || f.name || ' is ' || f.state || ' without a reason' as what
from /* schema */squidmesh_fire as f
where f.state in ('queued', 'skipped', 'refused') and f.reason is null;

-- name: fire_has_trigger
-- A fire is one of a trigger that was registered.
-- why: The trigger's row is what fires and deliveries take turns on.
select f.run_id as run, 'fire ' || f.key || ' of ' || f.workflow || '/' || f.name || ', which is no trigger' as what
from /* schema */squidmesh_fire as f
left join /* schema */squidmesh_trigger as t on t.workflow = f.workflow and t.name = f.name
where t.name is null;

-- name: only_operators_are_named
-- Who operated a trigger, and why, stands only where somebody did: beside the time of a pause or resume, and in fires by hand.
-- why: Whoever is named for what the schedule did would be asked about it.
select cast(null as text) as run, 'trigger ' || t.workflow || '/' || t.name || ' names ' || coalesce(t.actor, 'nobody') || ' without a time' as what
from /* schema */squidmesh_trigger as t
where t.changed_at is null and (t.actor is not null or t.comment is not null)
union all
select cast(f.run_id as text), 'fire ' || f.key || ' of ' || f.workflow || '/' || f.name || ' names ' || coalesce(f.actor, 'nobody')
from /* schema */squidmesh_fire as f
where f.key not like 'now:%' and (f.actor is not null or f.comment is not null);

-- name: due_windows_are_fired
-- timed
-- A window that is due has been fired, if a living worker has the workflow. A rollback that takes the trigger away breaks this too.
-- why: A window that nobody fires is a report that nobody gets.
with newest as (
    select distinct on (s.workflow) s.workflow, s.body from /* schema */squidmesh_spec as s order by s.workflow, s.created_at desc
),
fired as (
    select n.workflow, t.name
    from newest as n
    cross join lateral json_to_recordset(n.body -> 'triggers') as t (name text, cron text)
    where t.cron is not null and exists (
        select 1 from /* schema */squidmesh_worker as w
        cross join lateral json_array_elements_text(w.functions) as k (name)
        where w.lost_at is null and w.lease_until > clock_timestamp() and starts_with(k.name, n.workflow || '/')
    )
)
select cast(null as text) as run, 'trigger ' || t.workflow || '/' || t.name || ' is due since ' || cast(t.next_at as text) as what
from /* schema */squidmesh_trigger as t
where not t.paused and t.next_at < clock_timestamp() - /* grace */ 60 * interval '1 second'
    and exists (select 1 from fired as f where f.workflow = t.workflow and f.name = t.name);

-- name: open_fires_are_looked_after
-- timed
-- A fire that is pending or queued is looked after when its time comes, if a living worker has the workflow.
-- why: A delivery that got lost must come again, and a queued window must start.
with newest as (
    select distinct on (s.workflow) s.workflow, s.body from /* schema */squidmesh_spec as s order by s.workflow, s.created_at desc
),
fired as (
    select n.workflow, t.name
    from newest as n
    cross join lateral json_to_recordset(n.body -> 'triggers') as t (name text, cron text)
    where t.cron is not null and exists (
        select 1 from /* schema */squidmesh_worker as w
        cross join lateral json_array_elements_text(w.functions) as k (name)
        where w.lost_at is null and w.lease_until > clock_timestamp() and starts_with(k.name, n.workflow || '/')
    )
)
select f.run_id as run, 'fire ' || f.key || ' of ' || f.workflow || '/' || f.name || ' is ' || f.state || ', job ' || coalesce(f.job_id, 'none') as what
from /* schema */squidmesh_fire as f
where f.look_at < clock_timestamp() - /* grace */ 60 * interval '1 second'
    and exists (select 1 from fired as k where k.workflow = f.workflow and k.name = f.name);

-- name: values_are_sealed
-- optional
-- Every value that a codec seals has been sealed: payloads and what is kept of them under a key, results, failures, and what people say.
-- why: What stands in the clear can be read by whoever may read the table, and put there by whoever may write to it.
with failure (run, error, of) as (
    select r.id, r.reason::text, 'the reason' from /* schema */squidmesh_run as r
    union all
    select a.run_id, a.error::text, 'the error of attempt ' || a.attempt || ' of step ' || a.name from /* schema */squidmesh_attempt as a
),
value (run, text, of) as (
    select r.id, r.payload::text, 'the payload' from /* schema */squidmesh_run as r
    union all
    select r.id, r.key_hash, 'the hash of the payload' from /* schema */squidmesh_run as r
    union all
    select e.run_id, e.output::text, 'the output in entry ' || e.seq from /* schema */squidmesh_event as e
    union all
    select e.run_id, e.data::text, 'what was said in entry ' || e.seq
    from /* schema */squidmesh_event as e
    where e.data::text like any (array['%"error":%', '%"comment":%', '%"metadata":%'])
    union all
    select null, t.comment, 'the comment on trigger ' || t.workflow || '/' || t.name from /* schema */squidmesh_trigger as t
    union all
    select f.run_id, f.comment, 'the comment on fire ' || f.key || ' of ' || f.workflow || '/' || f.name from /* schema */squidmesh_fire as f
)
select run, of || ' is in the clear' as what
from value
where text not like '{"$sealed":%'
union all
select run, of || ' is in the clear'
from failure
where error !~ '^\{"step":"[^"]*",("phase":"[^"]*",)?"attempt":\d+,"code":"([^"\\]|\\.)*","message":"\(sealed\)","details":\{"\$sealed":';
