-- name: SaveSpecs
-- The first body of a shape stays.
insert into squidmesh_spec as s (shape, workflow, body, used_at)
select value ->> 0, value ->> 1, value ->> 2, cast(unixepoch('subsec') * 1000000 as integer)
from json_each(?)
where true
on conflict (shape) do update set used_at = excluded.used_at where s.used_at < excluded.used_at - 3600000000;

-- name: Specs
select shape, body from squidmesh_spec where shape in (select value from json_each(?));
