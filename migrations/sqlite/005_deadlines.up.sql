-- When an open decision expires. It stands in a column of its own, so that its index holds nothing else.
alter table squidmesh_step
    add column open_until integer generated always as (case when status = 'paused' then deadline_at end) virtual;

create index squidmesh_step_open_until on squidmesh_step (open_until, run_id) where open_until is not null;

insert into squidmesh_migration (version) values (5);
