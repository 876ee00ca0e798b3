drop index /* schema */squidmesh_fire_queued;
drop index /* schema */squidmesh_run_window_open;
delete from /* schema */squidmesh_migration where version = 7;
