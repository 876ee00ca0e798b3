drop table /* schema */squidmesh_fire;
drop table /* schema */squidmesh_trigger;
delete from /* schema */squidmesh_migration where version = 2;
