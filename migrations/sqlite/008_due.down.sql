drop index squidmesh_step_due;
create index squidmesh_step_due on squidmesh_step (due_at, run_id) where due_at is not null;

delete from squidmesh_migration where version = 8;
