-- The layout is PostgreSQL's, with its reasons; see there.
alter table squidmesh_run add column freed_key text;
create index squidmesh_run_freed_key on squidmesh_run (workflow, freed_key) where freed_key is not null;

insert into squidmesh_migration (version) values (12);
