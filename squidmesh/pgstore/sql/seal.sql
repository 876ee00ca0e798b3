-- name: Sealed
-- What stands for a recorded failure in the clear, or the sealed value among its details. The anchored pattern tells what the runtime wrote
-- from what a function gave as details; a JSON operator would fail on escapes that it cannot represent.
^\{"step":"[^"]*",("phase":"[^"]*",)?"attempt":\d+,"code":"([^"\\]|\\.)*","message":"\(sealed\)","details":(\{"\$sealed":.*)$

-- name: Unsealed
-- A page of runs by the primary key, and of each whether it has such a value: in the clear ($3), or that begins like one of a key ($4). Of
-- what entries tell only what functions and people have said is ever sealed.
with page as materialized (
    select id, payload, key_hash, reason
    from /* schema */squidmesh_run
    where id > $1
    order by id
    limit $2
)
select p.id, exists (
    select
    from (
        select p.payload::text
        union all
        select p.key_hash
        union all
        select coalesce((regexp_match(p.reason::text, '/* include Sealed */'))[3], p.reason::text)
        union all
        select coalesce((regexp_match(a.error::text, '/* include Sealed */'))[3], a.error::text)
        from /* schema */squidmesh_attempt as a
        where a.run_id = p.id
        union all
        select e.output::text
        from /* schema */squidmesh_event as e
        where e.run_id = p.id
        union all
        select e.data::text
        from /* schema */squidmesh_event as e
        where e.run_id = p.id and e.data::text like any (array['{"$sealed":%', '%"error":%', '%"comment":%', '%"metadata":%'])
    ) as value (text)
    where $3 and not text ^@ '{"$sealed":' or text ^@ any ($4::text[])
)
from page as p
order by p.id;

-- name: SealRuns
-- Under the run's lock. The version stays: what the run is does not change.
update /* schema */squidmesh_run as r set payload = u.payload::json, key_hash = nullif(u.key_hash, ''), reason = u.reason::json
from unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) as u (id, payload, key_hash, reason)
where r.id = u.id;

-- name: SealAttempts
-- By the primary key, under the run's lock.
update /* schema */squidmesh_attempt as a set error = u.error::json
from unnest($1::uuid[], $2::text[], $3::text[], $4::integer[], $5::text[]) as u (run_id, name, phase, attempt, error)
where a.run_id = u.run_id and a.name = u.name and a.phase = u.phase and a.attempt = u.attempt;

-- name: SealEvents
-- By the primary key, under the run's lock.
update /* schema */squidmesh_event as e set data = u.data::json, output = u.output::json
from unnest($1::uuid[], $2::integer[], $3::text[], $4::text[]) as u (run_id, seq, data, output)
where e.run_id = u.run_id and e.seq = u.seq;

-- name: SealTriggers
-- Under the triggers' locks.
update /* schema */squidmesh_trigger as t set comment = nullif(u.comment, '')
from unnest($1::text[], $2::text[], $3::text[]) as u (workflow, name, comment)
where t.workflow = u.workflow and t.name = u.name;

-- name: SealFires
-- By the primary key, under the trigger's lock.
update /* schema */squidmesh_fire as f set comment = nullif(u.comment, '')
from unnest($1::text[], $2::text[], $3::text[], $4::text[]) as u (workflow, name, key, comment)
where f.workflow = u.workflow and f.name = u.name and f.key = u.key;
