alter table /* schema */squidmesh_run drop column window_end, drop column received_at;

delete from /* schema */squidmesh_migration where version = 4;
