-- The key of a run that failed or was cancelled, once a later start took it over: it does not count as taken any more, and the run is found
-- by it all the same. Few runs have one.
alter table /* schema */squidmesh_run add column freed_key text;
create index squidmesh_run_freed_key on /* schema */squidmesh_run (workflow, freed_key) where freed_key is not null;

insert into /* schema */squidmesh_migration (version) values (12);
