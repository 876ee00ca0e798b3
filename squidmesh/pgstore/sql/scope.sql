-- name: Scope
-- Of a store without a configured schema: where search_path leads. The cast fails as a statement on the table does if that is nowhere.
select n.nspname
from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
where c.oid = 'squidmesh_run'::regclass;
