drop table /* schema */squidmesh_untold;
delete from /* schema */squidmesh_migration where version = 10;
