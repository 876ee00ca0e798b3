-- Who paused or resumed a trigger last, when and why, and who fired by hand what. A comment may be sealed.
alter table /* schema */squidmesh_trigger add column changed_at timestamptz, add column actor text, add column comment text;
alter table /* schema */squidmesh_fire add column actor text, add column comment text;

insert into /* schema */squidmesh_migration (version) values (9);
