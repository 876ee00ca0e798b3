drop index squidmesh_fire_queued;
drop index squidmesh_run_window_open;
delete from squidmesh_migration where version = 7;
