-- name: SaveSpecs
-- What is there is looked for first, without a lock: an insert that meets a row would wait for whoever has noted its use. In order, so
-- that processes which start together do not deadlock. The first body of a shape stays.
insert into /* schema */squidmesh_spec (shape, workflow, body)
select u.shape, u.workflow, u.body::json
from unnest($1::text[], $2::text[], $3::text[]) as u (shape, workflow, body)
where not exists (select from /* schema */squidmesh_spec as s where s.shape = u.shape)
order by u.shape
on conflict (shape) do nothing;

-- name: NoteSpecs
-- In transactions that end soon. Here it may wait for another such one, and for a prune that deletes the shape, which is then saved anew.
update /* schema */squidmesh_spec as s set used_at = clock_timestamp()
from (
    select shape from /* schema */squidmesh_spec
    where shape = any($1::text[]) and used_at < clock_timestamp() - interval '1 hour'
    order by shape
    for no key update
) as old
where s.shape = old.shape;

-- name: KeepSpecs
-- In transactions that last as long as their callers like. A prune skips what is locked so; nobody else minds: the lock is shared, and
-- goes beside that of a note. A shape that is being deleted is waited for, and then saved anew.
select shape from /* schema */squidmesh_spec
where shape = any($1::text[]) and used_at < clock_timestamp() - interval '1 hour'
order by shape
for key share;

-- name: KnownSpecs
-- What is older than the transaction does not go if that rolls back.
select count(*) = cardinality($1::text[]) from /* schema */squidmesh_spec
where shape = any($1::text[]) and used_at >= clock_timestamp() - interval '1 hour' and used_at < transaction_timestamp();

-- name: Specs
select shape, body from /* schema */squidmesh_spec where shape = any($1::text[]);
