-- The layout is PostgreSQL's, with its reasons; see there. Times are microseconds since 1970 in UTC, ids are their text form,
-- JSON is text kept byte for byte.

create table squidmesh_migration (
    version integer primary key,
    created_at integer not null default (cast(unixepoch('subsec') * 1000000 as integer))
) strict;

create table squidmesh_spec (
    shape text primary key,
    workflow text not null,
    body text not null,
    created_at integer not null default (cast(unixepoch('subsec') * 1000000 as integer))
) strict;

create table squidmesh_run (
    id text primary key,
    workflow text not null,
    "trigger" text not null,
    shape text not null,
    key text,
    key_hash text,
    window_at integer,
    signal_id text,
    replayed_from text,
    payload text,
    created_at integer not null,
    status text not null
        check (status in ('pending', 'running', 'retrying', 'paused', 'cancelling', 'compensating', 'completed', 'failed', 'cancelled')),
    verdict text not null
        check (verdict in ('', 'failed', 'cancelled')),
    compensate integer not null,
    version integer not null,
    seq integer not null,
    last_at integer not null,
    open integer not null check (open >= 0),
    retrying integer not null check (retrying >= 0),
    reason text,
    finished_at integer
) strict;

create unique index squidmesh_run_key on squidmesh_run (workflow, key) where key is not null;
create index squidmesh_run_workflow on squidmesh_run (workflow, created_at, id);
create index squidmesh_run_status on squidmesh_run (status, created_at, id);

create table squidmesh_step (
    run_id text not null,
    name text not null,
    phase text not null check (phase in ('do', 'undo')),
    status text not null
        check (status in ('scheduled', 'running', 'paused', 'completed', 'failed', 'cancelled')),
    attempt integer not null,
    failures integer not null,
    losses integer not null,
    missing integer not null,
    done_seq integer,
    worker integer,
    due_at integer,
    deadline_at integer,
    started_at integer,
    finished_at integer,
    cause text,
    job_id text,
    queue text,
    primary key (run_id, name, phase)
) strict, without rowid;

create index squidmesh_step_due on squidmesh_step (due_at, run_id) where due_at is not null;
create index squidmesh_step_jobless on squidmesh_step (due_at, run_id) where due_at is not null and job_id is null;

create table squidmesh_hold (
    worker integer not null,
    run_id text not null,
    name text not null,
    phase text not null check (phase in ('do', 'undo')),
    primary key (worker, run_id, name, phase)
) strict, without rowid;

create table squidmesh_attempt (
    run_id text not null,
    name text not null,
    phase text not null check (phase in ('do', 'undo')),
    attempt integer not null,
    worker integer,
    outcome text not null check (outcome in ('succeeded', 'failed', 'released', 'lost', 'cancelled')),
    started_at integer,
    ended_at integer not null,
    error text,
    primary key (run_id, name, phase, attempt)
) strict;

create table squidmesh_event (
    run_id text not null,
    seq integer not null,
    kind text not null,
    step text not null,
    phase text not null check (phase in ('', 'do', 'undo')),
    attempt integer not null,
    at integer not null,
    actor text,
    data text,
    output text,
    primary key (run_id, seq)
) strict;

create table squidmesh_worker (
    id integer primary key,
    name text not null,
    queues text not null,
    functions text not null,
    registered_at integer not null,
    lease_until integer not null,
    lost_at integer
) strict;

insert into squidmesh_migration (version) values (1);
