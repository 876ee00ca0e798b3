-- Audit entries that observers are still to be told of, since a caller's transaction wrote them: whether that commits, its writer does
-- not know. A tick takes what is there, so the table stays all but empty. No index but the key: who takes goes by it.
create table /* schema */squidmesh_untold (
    run_id uuid not null,
    seq integer not null,
    at timestamptz not null,
    primary key (run_id, seq)
);

insert into /* schema */squidmesh_migration (version) values (10);
