alter table squidmesh_fire drop column comment;
alter table squidmesh_fire drop column actor;
alter table squidmesh_trigger drop column comment;
alter table squidmesh_trigger drop column actor;
alter table squidmesh_trigger drop column changed_at;
delete from squidmesh_migration where version = 9;
