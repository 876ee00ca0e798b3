-- The layout is PostgreSQL's, with its reasons; see there.
drop index squidmesh_step_due;
create index squidmesh_step_due on squidmesh_step (due_at, run_id) where due_at is not null and job_id is not null;

insert into squidmesh_migration (version) values (8);
