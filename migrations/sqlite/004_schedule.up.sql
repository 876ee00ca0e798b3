-- The layout is PostgreSQL's, with its reasons; see there.

alter table squidmesh_run add column window_end integer;
alter table squidmesh_run add column received_at integer;

insert into squidmesh_migration (version) values (4);
