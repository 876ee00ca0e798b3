alter table squidmesh_worker drop column shapes;
delete from squidmesh_migration where version = 3;
