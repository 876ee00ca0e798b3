-- The definitions that a worker's functions were written for: whether a function fits a run is seen from the two shapes.
alter table squidmesh_worker add column shapes text not null default '[]';

insert into squidmesh_migration (version) values (3);
