-- The runs that cron deliveries started have keys of their own, which no caller can choose: a character that is not printable begins them.
-- A caller's run has neither signal nor window, and a replay has its caller's key.
update /* schema */squidmesh_run set key = chr(31) || key
where replayed_from is null and (signal_id is not null or window_at is not null or window_end is not null)
    and substr(key, 1, length(trigger) + 6) = 'cron:' || trigger || ':';

insert into /* schema */squidmesh_migration (version) values (11);
