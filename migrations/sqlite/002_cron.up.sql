-- The layout is PostgreSQL's, with its reasons; see there.

create table squidmesh_trigger (
    workflow text not null,
    name text not null,
    expression text not null,
    time_zone text not null,
    missed text not null check (missed in ('', 'skip', 'catch_up')),
    catch_up integer not null check (catch_up >= 0),
    overlap text not null check (overlap in ('', 'skip', 'queue_one')),
    next_at integer,
    paused integer not null,
    primary key (workflow, name)
) strict, without rowid;

create index squidmesh_trigger_next on squidmesh_trigger (next_at) where not paused;

create table squidmesh_fire (
    workflow text not null,
    name text not null,
    key text not null,
    signal_id text not null,
    window_at integer not null,
    window_end integer,
    state text not null check (state in ('pending', 'queued', 'started', 'skipped', 'refused')),
    reason text,
    run_id text,
    fired_at integer not null,
    look_at integer,
    sent integer not null,
    job_id text,
    primary key (workflow, name, key),
    check ((state in ('pending', 'queued')) = (look_at is not null)),
    check ((state = 'started') = (run_id is not null))
) strict, without rowid;

create unique index squidmesh_fire_signal on squidmesh_fire (workflow, name, signal_id);

create index squidmesh_fire_window on squidmesh_fire (workflow, name, window_at);

create index squidmesh_fire_look on squidmesh_fire (look_at) where look_at is not null;

insert into squidmesh_migration (version) values (2);
