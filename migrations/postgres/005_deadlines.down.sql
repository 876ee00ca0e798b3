alter table /* schema */squidmesh_step drop column open_until;
delete from /* schema */squidmesh_migration where version = 5;
