-- The layout is PostgreSQL's, with its reasons; see there.

create index squidmesh_run_window_open on squidmesh_run (workflow, trigger) where window_at is not null and finished_at is null;

create index squidmesh_fire_queued on squidmesh_fire (workflow, name, window_at) where state = 'queued';

insert into squidmesh_migration (version) values (7);
