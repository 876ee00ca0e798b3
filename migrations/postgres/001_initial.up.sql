-- The migrations that were applied. Each one records itself, so that a schema made by another tool from the printed SQL is
-- recognised too.
create table /* schema */squidmesh_migration (
    version integer primary key,
    created_at timestamptz not null default clock_timestamp()
);

-- The compiled definitions that runs are pinned to, each once.
create table /* schema */squidmesh_spec (
    shape text primary key,
    workflow text not null,
    body json not null,
    created_at timestamptz not null default clock_timestamp()
);

-- One row per run. The columns down to created_at are written by the insert only, so that a large payload is never
-- written twice. The rest changes with each transition: the fillfactor leaves room for updates on the same page (HOT),
-- which no index on version, seq, last_at, open or retrying spoils.
create table /* schema */squidmesh_run (
    id uuid primary key,
    workflow text not null,
    trigger text not null,
    shape text not null,
    key text,
    key_hash text,
    window_at timestamptz,
    signal_id text,
    replayed_from uuid,
    payload json,
    created_at timestamptz not null,
    status text not null
        check (status in ('pending', 'running', 'retrying', 'paused', 'cancelling', 'compensating', 'completed', 'failed', 'cancelled')),
    verdict text not null
        check (verdict in ('', 'failed', 'cancelled')),
    compensate boolean not null,
    version integer not null,
    seq integer not null,
    last_at timestamptz not null,
    open integer not null check (open >= 0),
    retrying integer not null check (retrying >= 0),
    reason json,
    finished_at timestamptz
) with (fillfactor = 70);

-- Makes keyed starts idempotent.
create unique index squidmesh_run_key on /* schema */squidmesh_run (workflow, key) where key is not null;

-- Listings, newest first: of one workflow, and of any (merged from one range per status).
create index squidmesh_run_workflow on /* schema */squidmesh_run (workflow, created_at, id);
create index squidmesh_run_status on /* schema */squidmesh_run (status, created_at, id);

-- One row per step and phase that a run has reached. No foreign key: each insert would lock the run's row once more and
-- cost a third of the write path; runs are deleted by squidmesh only. No index on status or worker: both change
-- with each step, and an index on either makes every update non-HOT.
create table /* schema */squidmesh_step (
    run_id uuid not null,
    name text not null,
    phase text not null check (phase in ('do', 'undo')),
    status text not null
        check (status in ('scheduled', 'running', 'paused', 'completed', 'failed', 'cancelled')),
    attempt integer not null,
    failures integer not null,
    losses integer not null,
    missing integer not null,
    done_seq integer,
    worker bigint,
    due_at timestamptz,
    deadline_at timestamptz,
    started_at timestamptz,
    finished_at timestamptz,
    cause text,
    job_id text,
    queue text,
    primary key (run_id, name, phase)
) with (fillfactor = 50);

-- Only rows that await a delivery are due; steps that a worker goes on with never enter it.
create index squidmesh_step_due on /* schema */squidmesh_step (due_at, run_id) where due_at is not null;

-- What the tick looks for each second: nearly empty, however many rows are due.
create index squidmesh_step_jobless on /* schema */squidmesh_step (due_at, run_id) where due_at is not null and job_id is null;

-- One row per delivery that a worker is at work on. It finds a dead worker's runs without an index on the steps.
create table /* schema */squidmesh_hold (
    worker bigint not null,
    run_id uuid not null,
    name text not null,
    phase text not null check (phase in ('do', 'undo')),
    primary key (worker, run_id, name, phase)
);

-- Attempts that ended otherwise than by success at the first try. Insert only.
create table /* schema */squidmesh_attempt (
    run_id uuid not null,
    name text not null,
    phase text not null check (phase in ('do', 'undo')),
    attempt integer not null,
    worker bigint,
    outcome text not null check (outcome in ('succeeded', 'failed', 'released', 'lost', 'cancelled')),
    started_at timestamptz,
    ended_at timestamptz not null,
    error json,
    primary key (run_id, name, phase, attempt)
);

-- What happened to runs: one row per commit and run, numbered without gaps. Insert only. It also holds each output, once:
-- written onto the step row it would outgrow the page's free space and end HOT updates.
create table /* schema */squidmesh_event (
    run_id uuid not null,
    seq integer not null,
    kind text not null,
    step text not null,
    phase text not null check (phase in ('', 'do', 'undo')),
    attempt integer not null,
    at timestamptz not null,
    actor text,
    data json,
    output json,
    primary key (run_id, seq)
);

-- The processes that execute. lost_at is final: a process that was declared lost registers anew.
create table /* schema */squidmesh_worker (
    id bigint primary key,
    name text not null,
    queues json not null,
    functions json not null,
    registered_at timestamptz not null,
    lease_until timestamptz not null,
    lost_at timestamptz
) with (fillfactor = 50);

insert into /* schema */squidmesh_migration (version) values (1);
