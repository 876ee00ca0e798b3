package invariants_test

// mutants plant the violations: statements by the rule that each must trip.
var mutants = map[string][]string{
	"values_are_sealed": {
		`update squidmesh_run set payload = '{"mode":"done"}' where id = {done}`,
		`update squidmesh_run set key_hash = 'go:x' where id = {done}`,
		`update squidmesh_run set reason = '{"step":"ship","attempt":1,"code":"error","message":"(sealed)"}' where id = {undone}`,
		`update squidmesh_run set reason = '{"step":"ship","attempt":1,"code":"error","message":"no","details":{"$sealed":{}}}' where id = {undone}`,
		`update squidmesh_attempt set error = '{"step":"ship","attempt":1,"code":"error","message":"no ship"}' where run_id = {undone}`,
		`update squidmesh_event set output = '{}' where run_id = {approved} and kind = 'approved'`,
		`update squidmesh_event set data = '{"comment":"yes"}' where run_id = {approved} and kind = 'approved'`,
		`update squidmesh_event set data = '{"run_status":"failed","error":{}}' where run_id = {undone} and kind = 'failed'`,
		`update squidmesh_event set data = '{"metadata":{}}' where run_id = {approved} and kind = 'approved'`,
		`update squidmesh_trigger set comment = 'why'`,
		`update squidmesh_fire set comment = 'why' where key like 'now:%'`,
	},
	"open_counter":     {`update squidmesh_run set open = open + 1 where id = {review}`, `update squidmesh_run set open = 1 where id = {done}`},
	"retrying_counter": {`update squidmesh_run set retrying = 0 where id = {retry}`},
	"terminal_run_is_closed": {
		`update squidmesh_step set status = 'running' where run_id = {done} and name = 'gather'`,
		`update squidmesh_run set status = 'completed' where id = {pending}`,
	},
	"terminal_run_is_let_go": {`insert into squidmesh_hold select worker, {done}, name, phase from squidmesh_hold`},
	"run_finish_time": {
		`update squidmesh_run set finished_at = null where id = {done}`,
		`update squidmesh_run set finished_at = {now} where id = {pending}`,
		`update squidmesh_run set finished_at = {old} where id = {done}`,
	},
	"verdict_and_status": {
		`update squidmesh_run set verdict = 'cancelled' where id = {done}`,
		`update squidmesh_run set status = 'cancelled' where id = {undone}`,
		`update squidmesh_run set compensate = false where id = {undoing}`,
		`update squidmesh_run set status = 'cancelling' where id = {working}`,
		`update squidmesh_run set verdict = 'cancelled' where id = {working}`,
	},
	"failed_run_has_reason": {`update squidmesh_run set reason = null where id = {undone}`},
	"active_run_is_open": {
		`delete from squidmesh_step where run_id = {pending}`,
		`update squidmesh_step set due_at = null where run_id = {retry}`,
		`update squidmesh_step set status = 'failed' where run_id = {working} and name = 'right'`,
	},
	"status_precedence": {
		`update squidmesh_run set status = 'running' where id = {review}`,
		`update squidmesh_run set status = 'paused' where id = {working}`,
		`update squidmesh_run set status = 'running' where id = {retry}`,
	},
	"pending_run_is_untouched": {`update squidmesh_run set status = 'pending' where id = {working}`},
	"spec_exists": {
		`delete from squidmesh_spec`,
		`update squidmesh_run set shape = (select shape from squidmesh_spec where workflow = 'saga') where id = {done}`,
	},
	"row_in_spec": {
		`update squidmesh_step set name = 'other' where run_id = {done} and name = 'last'`,
		`update squidmesh_step set phase = 'undo' where run_id = {done} and name = 'last'`,
		`delete from squidmesh_run where id = {done}`,
	},
	"one_place_on_the_spine": {`update squidmesh_step set status = 'running' where run_id = {working} and name = 'first'`},
	"block_follows_children": {
		`update squidmesh_step set status = 'failed' where run_id = {done} and name = 'left'`,
		`delete from squidmesh_step where run_id = {done} and name = 'join'`,
		`update squidmesh_step set status = 'completed' where run_id = {working} and name = 'right'`,
	},
	"missing_counter": {
		`update squidmesh_step set missing = 2 where run_id = {working} and name = 'join'`,
		`update squidmesh_step set missing = 0 where run_id = {working} and name = 'join'`,
	},
	"dependencies_met": {
		`update squidmesh_step set status = 'running' where run_id = {working} and name = 'join'`,
		`update squidmesh_step set status = 'failed' where run_id = {done} and name = 'left'`,
		`delete from squidmesh_step where run_id = {working} and name = 'join'`,
	},
	"running_row_is_claimed": {
		`update squidmesh_step set worker = null where run_id = {working} and name = 'right'`,
		`update squidmesh_step set deadline_at = null where run_id = {working} and name = 'right'`,
		`update squidmesh_step set started_at = null where run_id = {working} and name = 'right'`,
		`update squidmesh_step set due_at = {now} where run_id = {working} and name = 'right'`,
	},
	"running_row_is_held": {
		`delete from squidmesh_hold`,
		`update squidmesh_step set worker = 7 where run_id = {working} and name = 'right'`,
	},
	"hold_has_attempt": {
		`insert into squidmesh_hold select worker, {review}, name, phase from squidmesh_hold`,
		`delete from squidmesh_worker`,
	},
	"due_time": {
		`update squidmesh_step set due_at = null where run_id = {pending}`,
		`update squidmesh_step set due_at = {now} where run_id = {working} and name = 'join'`,
		`update squidmesh_step set due_at = {now} where run_id = {done} and name = 'last'`,
		`update squidmesh_step set deadline_at = {now} where run_id = {pending}`,
		`update squidmesh_step set missing = -1 where run_id = {done} and name = 'last'`,
	},
	"step_finish_time": {
		`update squidmesh_step set finished_at = null where run_id = {done} and name = 'last'`,
		`update squidmesh_step set finished_at = {now} where run_id = {pending}`,
	},
	"attempt_counter": {
		`update squidmesh_step set attempt = attempt + 1 where run_id = {pending}`,
		`delete from squidmesh_attempt where run_id = {done} and attempt = 1`,
		`update squidmesh_attempt set attempt = 9 where run_id = {done} and attempt = 2`,
		`insert into squidmesh_attempt (run_id, name, phase, attempt, outcome, ended_at) values ({pending}, 'first', 'do', 1, 'failed', {now})`,
		`insert into squidmesh_attempt (run_id, name, phase, attempt, outcome, ended_at) values ({pending}, 'last', 'do', 1, 'failed', {now})`,
	},
	"attempt_outcome": {
		`delete from squidmesh_attempt where run_id = {done} and attempt = 2`,
		`update squidmesh_attempt set outcome = 'lost' where run_id = {done} and attempt = 2`,
		`delete from squidmesh_attempt where run_id = {undone}`,
	},
	"failures_counter": {
		`update squidmesh_step set failures = 2 where run_id = {done} and name = 'first'`,
		`update squidmesh_step set failures = 0 where run_id = {done} and name = 'first'`,
		`update squidmesh_step set failures = 2 where run_id = {again} and name = 'charge' and phase = 'undo'`,
	},
	"losses_counter": {
		`update squidmesh_step set losses = 1 where run_id = {pending}`,
		`update squidmesh_attempt set outcome = 'lost' where run_id = {done} and attempt = 1`,
	},
	"completion": {
		`update squidmesh_step set done_seq = null where run_id = {done} and name = 'last'`,
		`update squidmesh_step set done_seq = 999 where run_id = {done} and name = 'gather'`,
		`update squidmesh_step set done_seq = 2 where run_id = {done} and name = 'last'`,
		`update squidmesh_step set done_seq = 2 where run_id = {working} and name = 'right'`,
		`update squidmesh_event set attempt = 1 where run_id = {done} and step = 'first' and kind = 'succeeded'`,
		`update squidmesh_event set kind = 'failed' where run_id = {approved} and kind = 'approved'`,
	},
	"completed_once": {
		`insert into squidmesh_event (run_id, seq, kind, step, phase, attempt, at)
			select run_id, 999, kind, step, phase, attempt, at from squidmesh_event where run_id = {done} and step = 'last'`,
		`update squidmesh_event set kind = 'undone' where run_id = {undone} and kind = 'claimed' and phase = 'undo'`,
	},
	"claimed_once": {
		`insert into squidmesh_event (run_id, seq, kind, step, phase, attempt, at)
			select run_id, 999, kind, step, phase, attempt, at from squidmesh_event where run_id = {working} and step = 'first' and kind = 'claimed'`,
		`update squidmesh_event set attempt = 9 where run_id = {done} and step = 'last'`,
	},
	"undo_one_at_a_time": {`update squidmesh_step set status = 'scheduled' where run_id = {undone} and phase = 'undo'`},
	"undo_after_drain": {
		`update squidmesh_step set status = 'running' where run_id = {undone} and phase = 'do' and name = 'ship'`,
		`update squidmesh_run set verdict = '' where id = {undoing}`,
		`update squidmesh_run set compensate = false where id = {undone}`,
	},
	"undo_of_completed": {
		`update squidmesh_step set status = 'failed' where run_id = {undone} and phase = 'do' and name = 'charge'`,
		`delete from squidmesh_step where run_id = {undone} and phase = 'do' and name = 'charge'`,
	},
	"undo_order": {`update squidmesh_step set done_seq = 100 - done_seq where run_id = {undone} and phase = 'do'`},
	"undo_of_all": {
		`delete from squidmesh_step where run_id = {undone} and phase = 'undo' and name = 'reserve'`,
		`update squidmesh_step set status = 'cancelled' where run_id = {undone} and phase = 'undo' and name = 'charge'`,
	},
	"audit_gapless": {
		`delete from squidmesh_event where run_id = {done} and seq = 2`,
		`delete from squidmesh_event where run_id = {pending}`,
		`update squidmesh_run set seq = seq + 1, version = version + 1 where id = {done}`,
		`update squidmesh_run set version = version + 1 where id = {done}`,
		`delete from squidmesh_run where id = {done}`,
	},
	"audit_times": {
		`update squidmesh_event set at = {old} where run_id = {done} and seq = 3`,
		`update squidmesh_run set last_at = {old} where id = {done}`,
	},
	"audit_starts": {
		`update squidmesh_event set kind = 'started' where run_id = {done} and seq = 2`,
		`update squidmesh_event set kind = 'claimed' where run_id = {done} and seq = 1`,
	},
	"audit_ends": {
		`update squidmesh_event set kind = 'redelivered' where run_id = {done} and step = 'last'`,
		`update squidmesh_run set finished_at = {new} where id = {done}`,
	},
	"keys_unique": {`update squidmesh_run set key = 'done' where id = {working}`},
	"lost_workers_hold_nothing": {`insert into squidmesh_worker (id, name, queues, functions, registered_at, lease_until, lost_at)
		values (7, 'gone', '[]', '[]', {old}, {old}, {old}); insert into squidmesh_hold values (7, {working}, 'right', 'do')`},
	"silent_workers_are_lost": {`insert into squidmesh_worker (id, name, queues, functions, registered_at, lease_until)
		values (7, 'gone', '[]', '[]', {old}, {old})`},
	"due_rows_are_claimed": {
		`update squidmesh_step set due_at = {old} where run_id = {pending}`,
		`update squidmesh_step set due_at = {old} where run_id = {undoing} and phase = 'undo' and status = 'scheduled'`,
	},
	"fire_has_its_run": {
		`delete from squidmesh_run where window_at is not null`,
		`update squidmesh_fire set run_id = {done} where state = 'started'`,
		`update squidmesh_run set window_at = {old} where signal_id like 'now:%'`,
		`update squidmesh_run set replayed_from = {done} where signal_id like 'now:%'`,
	},
	"one_run_per_window": {`update squidmesh_run set workflow = 'digest', trigger = 'yearly', signal_id = 'other',
		window_at = (select window_at from squidmesh_run where signal_id like 'sha256:%'),
		window_end = (select window_end from squidmesh_run where signal_id like 'sha256:%') where id = {done}`},
	"cron_run_has_arrival": {
		`update squidmesh_run set received_at = null where signal_id like 'sha256:%'`,
		`update squidmesh_run set received_at = {new} where signal_id like 'sha256:%'`,
	},
	"pending_fire_has_job": {
		`update squidmesh_fire set job_id = null where state = 'pending'`,
		`update squidmesh_fire set sent = 0 where state = 'pending'`,
	},
	"fire_has_reason": {
		`update squidmesh_fire set state = 'queued' where state = 'pending'`,
		`update squidmesh_fire set state = 'refused', look_at = null where state = 'pending'`,
	},
	"fire_has_trigger": {`delete from squidmesh_trigger`},
	"only_operators_are_named": {
		`update squidmesh_trigger set changed_at = null`,
		`update squidmesh_trigger set changed_at = null, actor = null`,
		`update squidmesh_fire set key = 'other' where actor is not null`,
	},
	"due_windows_are_fired":       {`update squidmesh_trigger set next_at = {old}`},
	"open_fires_are_looked_after": {`update squidmesh_fire set look_at = {old} where state = 'pending'`},
	"deadlines_are_kept": {
		`update squidmesh_step set deadline_at = {old} where run_id = {working} and name = 'right'`,
		`update squidmesh_step set deadline_at = {old} where run_id = {review} and status = 'paused'`,
	},
}
