-- name: SaveSpecs
-- The first body of a shape stays.
insert or ignore into squidmesh_spec (shape, workflow, body)
select value ->> 0, value ->> 1, value ->> 2 from json_each(?);

-- name: Specs
select shape, body from squidmesh_spec where shape in (select value from json_each(?));
