drop index squidmesh_step_open_until;
alter table squidmesh_step drop column open_until;
delete from squidmesh_migration where version = 5;
