-- The layout is PostgreSQL's, with its reasons; see there.

create index squidmesh_run_finished on squidmesh_run (status, finished_at) where finished_at is not null;

create index squidmesh_fire_idle on squidmesh_fire (fired_at) where state in ('skipped', 'refused');

alter table squidmesh_trigger add column pruned_to integer;

alter table squidmesh_spec add column used_at integer not null default 0;
update squidmesh_spec set used_at = cast(unixepoch('subsec') * 1000000 as integer);

insert into squidmesh_migration (version) values (6);
