alter table /* schema */squidmesh_spec drop column used_at;
alter table /* schema */squidmesh_trigger drop column pruned_to;
drop index /* schema */squidmesh_fire_idle;
drop index /* schema */squidmesh_run_finished;
delete from /* schema */squidmesh_migration where version = 6;
