-- name: InsertUntold
insert into squidmesh_untold (run_id, seq, at) select value ->> 0, value ->> 1, value ->> 2 from json_each(?1);

-- name: Untold
select exists (select 1 from squidmesh_untold);

-- name: TakeUntold
delete from squidmesh_untold
where (run_id, seq) in (select run_id, seq from squidmesh_untold where at <= ?1 order by run_id, seq limit ?2)
returning run_id, seq;
