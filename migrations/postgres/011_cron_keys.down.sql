-- Where a caller has taken the key meanwhile, both runs stay as they are.
update /* schema */squidmesh_run set key = substr(key, 2)
where substr(key, 1, 1) = chr(31) and not exists (
    select 1 from /* schema */squidmesh_run as taken where taken.workflow = squidmesh_run.workflow and taken.key = substr(squidmesh_run.key, 2)
);
delete from /* schema */squidmesh_migration where version = 11;
