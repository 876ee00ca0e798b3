alter table squidmesh_spec drop column used_at;
alter table squidmesh_trigger drop column pruned_to;
drop index squidmesh_fire_idle;
drop index squidmesh_run_finished;
delete from squidmesh_migration where version = 6;
