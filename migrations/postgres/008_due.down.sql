drop index /* schema */squidmesh_step_due;
create index squidmesh_step_due on /* schema */squidmesh_step (due_at, run_id) where due_at is not null;
delete from /* schema */squidmesh_migration where version = 8;
