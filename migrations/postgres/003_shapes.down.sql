alter table /* schema */squidmesh_worker drop column shapes;
delete from /* schema */squidmesh_migration where version = 3;
