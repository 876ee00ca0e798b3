-- name: Unsealed
-- A page of runs by the primary key, and of each whether it has such a value. Of a sealed failure that is among its details. Of what entries
-- tell only what functions and people have said is ever sealed.
with page as materialized (
    select id, payload, key_hash, reason from squidmesh_run where id > @after order by id limit @limit
)
select p.id, exists (
    select 1
    from (
        select p.payload as text
        union all
        select p.key_hash
        union all
        select iif(p.reason ->> '$.message' = '(sealed)', coalesce(p.reason -> '$.details', p.reason), p.reason)
        union all
        select iif(a.error ->> '$.message' = '(sealed)', coalesce(a.error -> '$.details', a.error), a.error)
        from squidmesh_attempt as a
        where a.run_id = p.id
        union all
        select e.output from squidmesh_event as e where e.run_id = p.id
        union all
        select e.data
        from squidmesh_event as e
        where e.run_id = p.id and (
            e.data like '{"$sealed":%' or e.data like '%"error":%' or e.data like '%"comment":%' or e.data like '%"metadata":%'
        )
    ) as value
    where text is not null and (
        @plain and substr(text, 1, 11) <> '{"$sealed":'
        or exists (select 1 from json_each(@prefixes) as k where substr(text, 1, length(k.value)) = k.value)
    )
)
from page as p
order by p.id;

-- name: SealRuns
-- The version stays: what the run is does not change.
update squidmesh_run as r set payload = u.value ->> 1, key_hash = nullif(u.value ->> 2, ''), reason = u.value ->> 3
from json_each(?) as u
where r.id = u.value ->> 0;

-- name: SealAttempts
update squidmesh_attempt as a set error = u.value ->> 4
from json_each(?) as u
where a.run_id = u.value ->> 0 and a.name = u.value ->> 1 and a.phase = u.value ->> 2 and a.attempt = u.value ->> 3;

-- name: SealEvents
update squidmesh_event as e set data = u.value ->> 2, output = u.value ->> 3
from json_each(?) as u
where e.run_id = u.value ->> 0 and e.seq = u.value ->> 1;

-- name: SealTriggers
update squidmesh_trigger as t set comment = nullif(u.value ->> 2, '')
from json_each(?) as u
where t.workflow = u.value ->> 0 and t.name = u.value ->> 1;

-- name: SealFires
update squidmesh_fire as f set comment = nullif(u.value ->> 3, '')
from json_each(?) as u
where f.workflow = u.value ->> 0 and f.name = u.value ->> 1 and f.key = u.value ->> 2;
