drop table /* schema */squidmesh_worker;
drop table /* schema */squidmesh_event;
drop table /* schema */squidmesh_attempt;
drop table /* schema */squidmesh_hold;
drop table /* schema */squidmesh_step;
drop table /* schema */squidmesh_run;
drop table /* schema */squidmesh_spec;
drop table /* schema */squidmesh_migration;
