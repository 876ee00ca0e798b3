drop table squidmesh_fire;
drop table squidmesh_trigger;
delete from squidmesh_migration where version = 2;
