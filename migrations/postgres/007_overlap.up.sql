-- Runs of windows that have not ended, which is what a policy for overlapping windows asks for. A run enters it at its start and leaves
-- it at its end; runs without a window never do.
create index squidmesh_run_window_open on /* schema */squidmesh_run (workflow, trigger)
    where window_at is not null and finished_at is null;

-- Windows that wait for an earlier one's run: one of a trigger, as a rule.
create index squidmesh_fire_queued on /* schema */squidmesh_fire (workflow, name, window_at) where state = 'queued';

insert into /* schema */squidmesh_migration (version) values (7);
