-- name: HasNotifications
-- River's table, which its SQLite driver polls.
select count(*) from sqlite_master where type = 'table' and name = 'river_notification';

-- name: Notify
insert into river_notification (topic, payload) values (?, ?);
