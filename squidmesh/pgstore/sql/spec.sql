-- name: SaveSpecs
-- Sorted by the caller, so that processes which start together do not deadlock. The first body of a shape stays. A shape that is
-- being deleted is waited for and inserted anew.
insert into /* schema */squidmesh_spec as s (shape, workflow, body)
select shape, workflow, body::json
from unnest($1::text[], $2::text[], $3::text[]) as u (shape, workflow, body)
on conflict (shape) do update set used_at = excluded.used_at where s.used_at < excluded.used_at - interval '1 hour';

-- name: Specs
select shape, body from /* schema */squidmesh_spec where shape = any($1::text[]);
