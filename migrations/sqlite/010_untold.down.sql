drop table squidmesh_untold;
delete from squidmesh_migration where version = 10;
