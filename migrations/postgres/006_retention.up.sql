-- Ended runs by their age, for retention. A run enters it once, when it ends: until then no update is kept from being HOT.
create index squidmesh_run_finished on /* schema */squidmesh_run (status, finished_at) where finished_at is not null;

-- Fires that started no run, by their age.
create index squidmesh_fire_idle on /* schema */squidmesh_fire (fired_at) where state in ('skipped', 'refused');

-- Fires and runs of windows up to then may have been deleted: a delivery for one of these that finds no fire starts nothing.
alter table /* schema */squidmesh_trigger add column pruned_to timestamptz;

-- When a process last said that it starts runs of the shape. One that does says so at least every two hours.
alter table /* schema */squidmesh_spec add column used_at timestamptz not null default clock_timestamp();

insert into /* schema */squidmesh_migration (version) values (6);
