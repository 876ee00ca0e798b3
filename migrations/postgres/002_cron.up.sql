-- One row per cron trigger that a started process has registered. The row is what fires: whoever ticks takes it, so neither a
-- leader nor the process that wrote it is needed.
create table /* schema */squidmesh_trigger (
    workflow text not null,
    name text not null,
    expression text not null,
    time_zone text not null,
    missed text not null check (missed in ('', 'skip', 'catch_up')),
    catch_up integer not null check (catch_up >= 0),
    overlap text not null check (overlap in ('', 'skip', 'queue_one')),
    next_at timestamptz,
    paused boolean not null,
    primary key (workflow, name)
);

-- What is due.
create index squidmesh_trigger_next on /* schema */squidmesh_trigger (next_at) where not paused;

-- One row per window that a trigger has fired, or skipped. The key is the window's minute on the wall clock of its zone, so that a
-- minute which comes twice fires once.
create table /* schema */squidmesh_fire (
    workflow text not null,
    name text not null,
    key text not null,
    signal_id text not null,
    window_at timestamptz not null,
    window_end timestamptz,
    state text not null check (state in ('pending', 'queued', 'started', 'skipped', 'refused')),
    reason text,
    run_id uuid,
    fired_at timestamptz not null,
    look_at timestamptz,
    sent integer not null,
    job_id text,
    primary key (workflow, name, key),
    check ((state in ('pending', 'queued')) = (look_at is not null)),
    check ((state = 'started') = (run_id is not null))
);

-- Deliveries find their fire.
create unique index squidmesh_fire_signal on /* schema */squidmesh_fire (workflow, name, signal_id);

-- The newest fires of a trigger.
create index squidmesh_fire_window on /* schema */squidmesh_fire (workflow, name, window_at);

-- Fires that are not decided yet: nearly empty.
create index squidmesh_fire_look on /* schema */squidmesh_fire (look_at) where look_at is not null;

insert into /* schema */squidmesh_migration (version) values (2);
