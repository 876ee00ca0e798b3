-- The layout is PostgreSQL's, with its reasons; see there.
create table squidmesh_untold (
    run_id text not null,
    seq integer not null,
    at integer not null,
    primary key (run_id, seq)
) strict, without rowid;

insert into squidmesh_migration (version) values (10);
