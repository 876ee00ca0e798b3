-- name: InsertUntold
insert into /* schema */squidmesh_untold (run_id, seq, at) select * from unnest($1::uuid[], $2::integer[], $3::timestamptz[]);

-- name: TakeUntold
-- Several processes share what is there: each takes what no other is taking at the moment, and tells it once that is committed.
delete from /* schema */squidmesh_untold
where (run_id, seq) in (
    select run_id, seq from /* schema */squidmesh_untold where at <= $1 order by run_id, seq limit $2 for update skip locked
)
returning run_id, seq;
