-- When an open decision expires. It stands in a column of its own, which only decisions with a deadline ever set: an index on
-- deadline_at or status would cost every step two index entries more.
alter table /* schema */squidmesh_step
    add column open_until timestamptz generated always as (case when status = 'paused' then deadline_at end) stored;

-- What the tick looks for each second: decisions, in the order of their deadlines.
create index squidmesh_step_open_until on /* schema */squidmesh_step (open_until, run_id) where open_until is not null;

insert into /* schema */squidmesh_migration (version) values (5);
