-- The definitions that a worker's functions were written for: whether a function fits a run is seen from the two shapes.
alter table /* schema */squidmesh_worker add column shapes json not null default '[]';

insert into /* schema */squidmesh_migration (version) values (3);
