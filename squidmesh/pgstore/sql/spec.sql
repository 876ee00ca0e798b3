-- name: SaveSpecs
-- Sorted by the caller, so that processes which start together do not deadlock. The first body of a shape stays.
insert into /* schema */squidmesh_spec (shape, workflow, body)
select shape, workflow, body::json
from unnest($1::text[], $2::text[], $3::text[]) as u (shape, workflow, body)
on conflict (shape) do nothing;

-- name: Specs
select shape, body from /* schema */squidmesh_spec where shape = any($1::text[]);
