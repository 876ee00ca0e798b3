alter table squidmesh_run drop column window_end;
alter table squidmesh_run drop column received_at;

delete from squidmesh_migration where version = 4;
