drop table squidmesh_worker;
drop table squidmesh_event;
drop table squidmesh_attempt;
drop table squidmesh_hold;
drop table squidmesh_step;
drop table squidmesh_run;
drop table squidmesh_spec;
drop table squidmesh_migration;
