-- Steps that have a job, and those that have none, each have an index of their own. Where an index held both, a tick that was planned
-- while there were few steps went through all that wait with a job to find those without: half a second with 500,000.
drop index /* schema */squidmesh_step_due;
create index squidmesh_step_due on /* schema */squidmesh_step (due_at, run_id) where due_at is not null and job_id is not null;

insert into /* schema */squidmesh_migration (version) values (8);
