-- The layout is PostgreSQL's, with its reasons; see there.

alter table squidmesh_trigger add column changed_at integer;
alter table squidmesh_trigger add column actor text;
alter table squidmesh_trigger add column comment text;
alter table squidmesh_fire add column actor text;
alter table squidmesh_fire add column comment text;

insert into squidmesh_migration (version) values (9);
