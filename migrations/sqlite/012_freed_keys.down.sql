drop index squidmesh_run_freed_key;
alter table squidmesh_run drop column freed_key;
delete from squidmesh_migration where version = 12;
