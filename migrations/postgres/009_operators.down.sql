alter table /* schema */squidmesh_fire drop column comment, drop column actor;
alter table /* schema */squidmesh_trigger drop column comment, drop column actor, drop column changed_at;
delete from /* schema */squidmesh_migration where version = 9;
