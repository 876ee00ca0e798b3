drop index /* schema */squidmesh_run_freed_key;
alter table /* schema */squidmesh_run drop column freed_key;
delete from /* schema */squidmesh_migration where version = 12;
