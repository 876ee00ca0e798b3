-- What a run knows of the cron fire that started it, beside window_at and signal_id. Null, and free, for other runs.
alter table /* schema */squidmesh_run add column window_end timestamptz, add column received_at timestamptz;

insert into /* schema */squidmesh_migration (version) values (4);
