package mutants

// shellMutant is a bug of the shell, of a store or of the adapter. Its file is a path within the module. Properties do not reach
// there, so it says which tests of which package must find it.
type shellMutant struct {
	mutant
	in, run string
}

const (
	inCore    = "./squidmesh"
	inLaw     = "./squidmesh/flow"
	inShell   = "./internal/e2e"
	inRuntime = "./squidmesh"
	inPG      = "./squidmesh/pgstore"
	inSQLite  = "./squidmesh/sqlitestore"
	inAdapter = "./riveradapter"
)

var shellMutants = []shellMutant{
	// Locks and the clock.
	{mutant{
		"apply without the lock", "squidmesh/pgstore/sql/lock.sql",
		"order by id\nfor no key update;",
		"order by id;",
	}, inPG, "TestStore/Lock_WaitsAndReadsTheClockAfterwards"},
	{mutant{
		"batches fail at runs that somebody holds", "squidmesh/pgstore/sql/lock.sql",
		"for no key update skip locked;",
		"for no key update nowait;",
	}, inPG, "TestStore/Lock_SkipsWhatSomebodyElseHolds"},
	{mutant{
		"the locking statement reads the clock", "squidmesh/pgstore/sql/lock.sql",
		"select clock_timestamp(),",
		"select transaction_timestamp(),",
	}, inPG, "TestStore/Lock_WaitsAndReadsTheClockAfterwards"},

	{mutant{
		"memory of a run is used at any version", "squidmesh/commit_memory.go",
		"if memory == nil || memory.version != run.Version || !memory.lastAt.Equal(run.LastAt) {",
		"if memory == nil {",
	}, inShell, "TestUnblock_AfterAnotherProcessDidIsRefused"},

	// Lanes.
	{mutant{
		"a list that was full waits for the next tick", "squidmesh/worker_lane.go",
		"(svc.goOn(l, report) || t.full) && t.done > 0",
		"(svc.goOn(l, report) || t.full) && t.done < 0",
	}, inRuntime, "TestLane_GoesStraightOn"},
	{mutant{
		"more windows than a page holds wait for the next tick", "squidmesh/worker_lane.go",
		"(svc.goOn(l, report) || t.full) && t.done > 0",
		"svc.goOn(l, report) && t.done > 0",
	}, inRuntime, "TestLane_GoesStraightOnWithWindows"},
	{mutant{
		"lanes wait for each other", "squidmesh/worker_tick.go",
		"\t\t\tcare.Go(func() {",
		"\t\t\tfunc(f func()) { f() }(func() {",
	}, inRuntime, "TestLane_HoldsUpNoOther"},
	{mutant{
		"lanes hurry past what cannot be helped", "squidmesh/worker_lane.go",
		"(svc.goOn(l, report) || t.full) && t.done > 0",
		"(svc.goOn(l, report) || t.full)",
	}, inRuntime, "TestLane_DoesNotHurryPastWhatCannotBeHelped"},
	{mutant{
		"jobs are handed out in one transaction, however many they are", "squidmesh/worker_sweep.go",
		"slices.Chunk(rows, maxRetryBatch)",
		"slices.Chunk(rows, sweepLimit)",
	}, inRuntime, "TestLane_RetriesFarAwayJobByJob"},

	// The fence.
	{mutant{
		"nobody asks whether the worker is lost", "squidmesh/commit_write.go",
		"WorkerLost: locked.WorkerLost}",
		"WorkerLost: false}",
	}, inShell, "TestZombie_ThatIsDeclaredLost"},
	{mutant{
		"lost workers are not lost", "squidmesh/pgstore/sql/lock.sql",
		"where id = $1 and lost_at is null);",
		"where id = $1);",
	}, inPG, "TestStore/Lock_AnswersWhetherTheWorkerIsLost"},
	{mutant{
		"lost workers are not lost, on SQLite", "squidmesh/sqlitestore/sql/lock.sql",
		"where id = ? and lost_at is null);",
		"where id = ?);",
	}, inSQLite, "TestStore/Lock_AnswersWhetherTheWorkerIsLost"},
	{mutant{
		"bodies commit without the fence", "squidmesh/perform_tx.go",
		"case t.c.Empty():\n\t\treturn errStale\n",
		"",
	}, inShell, "TestZombie_ThatWasTakenOver"},
	{mutant{
		"rows go back to an older version", "squidmesh/pgstore/sql/apply.sql",
		"where r.id = u.id and r.version < u.version",
		"where r.id = u.id",
	}, inPG, "TestStore/Apply_AChangeOfAMissingRowIsAnError"},
	{mutant{
		"rows go back to an older version, on SQLite", "squidmesh/sqlitestore/sql/apply.sql",
		"where r.id = u.value ->> 0 and r.version < u.value ->> 4;",
		"where r.id = u.value ->> 0;",
	}, inSQLite, "TestStore/Apply_AChangeOfAMissingRowIsAnError"},
	{mutant{
		"rows that are missing are not missed", "squidmesh/pgstore/sql/apply.sql",
		"where s.run_id = u.run_id and s.name = u.name and s.phase = u.phase\nreturning 1\n)\nselect 1 / (count(*) = cardinality($1::uuid[]))::integer from changed;",
		"where s.run_id = u.run_id and s.name = u.name and s.phase = u.phase\nreturning 1\n)\nselect 1 from changed;",
	}, inPG, "TestStore/Apply_AChangeOfAMissingRowIsAnError"},

	// Leases.
	{mutant{
		"the sweeper ignores the lease", "squidmesh/pgstore/sql/worker.sql",
		"(@others or w.lease_until < (select at from now) and exists (",
		"(@others or exists (",
	}, inPG, "TestStore/Leases_APartOfATickDoesNoMore"},
	{mutant{
		"the sweeper ignores the lease, on SQLite", "squidmesh/sqlitestore/sql/worker.sql",
		"(?3 or lease_until < ?2 and exists (",
		"(?3 or exists (",
	}, inSQLite, "TestStore/Leases_APartOfATickDoesNoMore"},
	{mutant{
		"the first one back judges the others", "squidmesh/pgstore/sql/worker.sql",
		"and witness.registered_at <= (select at from now) - @lease::bigint * interval '1 microsecond'",
		"and witness.registered_at <= (select at from now)",
	}, inPG, "TestStore/Leases_NobodyIsLostForAnOutage"},
	{mutant{
		"whose lease still runs is a witness", "squidmesh/pgstore/sql/worker.sql",
		"and witness.lease_until >= (select at from now) + @lease::bigint * interval '1 microsecond' / 2",
		"and witness.lease_until >= (select at from now)",
	}, inPG, "TestStore/Leases_WhoWasAwayIsNoWitness"},
	{mutant{
		"an outage is no gap", "squidmesh/pgstore/sql/worker.sql",
		"when w.lease_until < now.at + @lease::bigint * interval '1 microsecond' / 2 or w.registered_at > now.at then now.at",
		"when w.registered_at > now.at then now.at",
	}, inShell, "TestBlackout_IsChargedToNobody/away_for_a_lease_and_a_half"},
	{mutant{
		"lost workers renew their lease", "squidmesh/pgstore/sql/worker.sql",
		"where w.id = @worker and w.lost_at is null\n",
		"where w.id = @worker\n",
	}, inPG, "TestStore/Leases_ASilentOneIsLostForGood"},
	{mutant{
		"nobody takes over", "squidmesh/worker_lane.go",
		"return wk.takeOver(ctx, report.Orphans)",
		"return tended{}",
	}, inShell, "TestZombie_ThatWasTakenOver"},
	{mutant{
		"who has lost the lease goes on", "squidmesh/worker_tick.go",
		"svc.worker.Store(0)\n\t\twk.live.cancelAll(ErrLeaseLost)",
		"svc.worker.Store(0)",
	}, inShell, "TestZombie_ThatComesBack"},
	{mutant{
		"who cannot prove the lease goes on", "squidmesh/worker_service.go",
		"wk.logger.Warn(\"squidmesh: lease cannot be proven, steps are told to stop\")\n\t\twk.live.cancelAll(ErrLeaseLost)",
		"wk.logger.Warn(\"squidmesh: lease cannot be proven, steps are told to stop\")",
	}, inShell, "TestLease_ThatCannotBeProven"},
	{mutant{
		"heartbeats wait for the pool", "squidmesh/worker_connection.go",
		`if c.own == nil || time.Now().Before(c.again) {`,
		`if c != nil {`,
	}, inShell, "TestLease_OutlivesAPoolThatBodiesExhaust"},
	{mutant{
		"the frozen keep their locks", "squidmesh/pgstore/store.go",
		`"set local idle_in_transaction_session_timeout = %d", (s.lease / 2)`,
		`"set local idle_in_transaction_session_timeout = %d", 0*(s.lease / 2)`,
	}, inPG, "TestInTx_ASilentOneLosesItsLocks"},
	{mutant{
		"the frozen keep their locks, pipelined", "squidmesh/pgstore/store.go",
		"s.settings = settingsOf(s.lease / 2)",
		"s.settings = settingsOf(0)",
	}, inPG, "TestInTx_ASilentOneLosesItsLocks"},
	{mutant{
		"Stop leaves its steps to the lease", "squidmesh/worker_service.go",
		"wk.live.cancelAll(ErrReleased)\n",
		"\n",
	}, inRuntime, "TestStopReleases"},

	// COMMIT.
	{mutant{
		"a COMMIT that broke was refused", "squidmesh/pgstore/transaction.go",
		`return fmt.Errorf("%w: %w", flow.ErrCommitUnknown, err)`,
		`return fmt.Errorf("commit: %w", err)`,
	}, inPG, "TestInTx_ACommitWhoseConnectionWasCutIsUnknown"},
	{mutant{
		"a COMMIT that broke is repeated", "squidmesh/commit_doubt.go",
		"case known && found:\n\t\t\treturn nil",
		"case known && found:\n\t\t\treturn errNotCommitted",
	}, inShell, "TestCommit"},
	{mutant{
		"a COMMIT that broke has taken effect", "squidmesh/commit_doubt.go",
		"case known:\n\t\t\treturn fmt.Errorf(\"%w: %s\", errNotCommitted, unknown.Error()) // text",
		"case known:\n\t\t\t_ = fmt.Errorf(\"%v\", unknown)\n\t\t\treturn nil // text",
	}, inShell, "TestCommit"},
	{mutant{
		"a start in doubt is inserted again", "squidmesh/commit_write.go",
		`r.folded.Run.Key == "" && r.members[0].doubtful == nil {`,
		`r.folded.Run.Key == "" {`,
	}, inShell, "TestStartRun_WhoseCommitIsStillInFlight"},
	{mutant{
		"a refusal at COMMIT goes unnoticed", "squidmesh/pgstore/pipeline.go",
		"if err := p.send(ctx, last); err != nil {\n\t\treturn err\n\t}",
		"_ = p.send(ctx, last)",
	}, inPG, "TestPipeline_RefusesAtCommit"},
	{mutant{
		"observers hear before the commit", "squidmesh/commit_shared.go",
		"w, err = cm.write(ctx, tx, members, false, cm.enqueue)\n",
		"if w, err = cm.write(ctx, tx, members, false, cm.enqueue); err == nil {\n\t\t\tcm.settle(w)\n\t\t}\n",
	}, inShell, "TestScenarios_SQLite/sequence"},
	{mutant{
		"observers hear nothing of bodies", "squidmesh/perform_tx.go",
		"fault.Hit(\"functx.after_commit\")\n\t\t\tpf.committer.settle(t.w)",
		"fault.Hit(\"functx.after_commit\")\n",
	}, inShell, "TestScenarios_SQLite/sequence"},
	{mutant{
		"one bad member fails its batch", "squidmesh/commit_shared.go",
		"s.own == nil {\n\t\t\t\ts.own = err",
		"s.own == nil {\n\t\t\t\ts.err = err",
	}, inShell, "TestCommit"},
	{mutant{
		"callers that go take their batch along", "squidmesh/commit_shared.go",
		"if len(batch) > 1 {\n\t\tctx =",
		"if len(batch) > maxBatch {\n\t\tctx =",
	}, inRuntime, "TestLine_ACallerThatGoesDisturbsNobody"},
	{mutant{
		"a run that waits holds up all others", "squidmesh/commit_shared.go",
		"rest = append(rest, s)\n\t\t\tcontinue",
		"rest = append(rest, l.waiting[i:]...)\n\t\t\tbreak",
	}, inRuntime, "TestLine_EverybodysTurnComes"},
	{mutant{
		"commits side by side take all of a pool", "squidmesh/pgstore/store.go",
		"min(4, max(1, int(conns)/4))",
		"4",
	}, inRuntime, "TestLine_LeavesConnectionsToOthers"},
	{mutant{
		"who waits for a lock keeps a connection", "squidmesh/commit_alone.go",
		"case m.start != nil, !flow.TraitsOf(m.event).Shared:",
		"case true:",
	}, inShell, "TestPerform_HeldRuns"},
	{mutant{
		"steps that are claimed while all are told to stop are not told", "squidmesh/perform_execute.go",
		"; cause != nil { // while",
		"; cause == errStale { // while",
	}, inRuntime, "TestLine_StopWaits"},
	{mutant{
		"a batch that was not finished was committed", "squidmesh/commit_shared.go",
		"err := errUnfinished\n",
		"var err error\n",
	}, inRuntime, "TestLine_Outlives"},
	{mutant{
		"a start whose fate is unknown was refused", "squidmesh/commit_alone.go",
		"m.err == nil && m.doubtful != nil &&",
		"m.err != nil && m.doubtful != nil &&",
	}, inRuntime, "TestStartRun_WhoseFate"},
	{mutant{
		"callers that go leave their event behind", "squidmesh/commit_shared.go",
		"l.waiting = slices.Delete(l.waiting, i, i+1)\n",
		"",
	}, inRuntime, "TestLine_ACallerThatWaitsMayGo"},
	{mutant{
		"what is transient is final", "squidmesh/pgstore/transient.go",
		"\tcase \"40001\", // serialization_failure\n\t\t\"40P01\", // deadlock_detected",
		"\tcase \"40P01\", // deadlock_detected",
	}, inPG, "TestTransient_WhatMayBeRunAgain"},

	// The queue.
	{mutant{
		"enqueue in a transaction of its own", "squidmesh/commit_enqueue.go",
		"answer, err := cm.queue.enqueueBatch(ctx, tx, batch)\n\tswitch {\n\tcase err != nil:\n\t\treturn fmt.Errorf(\"%w: %s: %w\", ErrDispatch, text.Count(",
		"var answer driver.BatchMetadata\n\terr := cm.store.InTx(ctx, func(ctx context.Context, tx TTx) (err error) { answer, err = cm.queue.enqueueBatch(ctx, tx, batch); return err })\n\tswitch {\n\tcase err != nil:\n\t\treturn fmt.Errorf(\"%w: %s: %w\", ErrDispatch, text.Count(",
	}, inShell, "TestStartRunTx_RolledBackLeavesNothing_Postgres"},
	{mutant{
		"commit, then enqueue", "squidmesh/commit_write.go",
		"if err := dispatch(ctx, tx, w); err != nil {\n\t\treturn nil, err\n\t}",
		"_ = dispatch(ctx, tx, w)",
	}, inShell, "TestStartRun_RefusedBatchLeavesNothing"},
	{mutant{
		"early deliveries are acknowledged", "riveradapter/worker.go",
		"return river.JobSnooze(try.comesBack(ctx, max(outcome.After, minSnooze), outcome.Reason))",
		"return nil",
	}, inAdapter, "TestWorker_AgainSnoozes"},
	{mutant{
		"steps are executed in any queue", "squidmesh/flow/decide_step.go",
		"return e.Queue != \"\" && row.Queue != \"\" && e.Queue != row.Queue && e.Job != row.JobID",
		"return false",
	}, inCore, "TestOtherQueue"},
	{mutant{
		"deliveries of another store are taken for this one's", "squidmesh/perform_foreign.go",
		"return job != d.Job, nil",
		"return job == \"none\", nil",
	}, inCore, "TestScope"},
	{mutant{
		"a renamed store does not know its deliveries", "squidmesh/perform_foreign.go",
		"return job != d.Job, nil",
		"return job != \"none\", nil",
	}, inCore, "TestScope"},
	{mutant{
		"deliveries are acknowledged that were not recorded", "riveradapter/worker.go",
		"return clean(err)",
		"return nil",
	}, inAdapter, "TestWorker_ErrorComesAgainSoon"},
	{mutant{
		"acknowledge before commit", "squidmesh/perform.go",
		"case err != nil:\n\t\treturn flow.Outcome{}, err\n\t}\n\toutcome := c.Outcome",
		"case err != nil:\n\t\treturn flow.Outcome{Kind: flow.OutcomeDone}, nil\n\t}\n\toutcome := c.Outcome",
	}, inShell, "TestPerform_ThatCannotBeRecorded"},
	{mutant{
		"jobs run out of attempts", "riveradapter/executor.go",
		"MaxAttempts: maxAttempts,",
		"MaxAttempts: 25,",
	}, inAdapter, "TestExecutor_JobIsTinyAndNeverRunsOut"},
	{mutant{
		"lost jobs are not sent again", "squidmesh/worker_sweep.go",
		"found.lost = append(found.lost, row)",
		"",
	}, inShell, "TestJobThatIsGone_IsSentAgain"},
	{mutant{
		"jobs that were taken and never finished count as on their way", "riveradapter/probe.go",
		"return job.AttemptedAt != nil && now.Sub(*job.AttemptedAt) < handedOut",
		"return true",
	}, inAdapter, "TestDeliverable_RunningOnlyWhenJustHandedOut"},
	{mutant{
		"what middleware refused comes when River thinks fit", "squidmesh/worker_sweep.go",
		"found.retry = append(found.retry, row)",
		"",
	}, inShell, "TestBreaker_CostsLittleMoreThanItLasts"},
	{mutant{
		"short delays wait for River's leader", "riveradapter/timing.go",
		"case ahead <= lookAhead && t.near.take(t.now, t.dueAt):",
		"case false:",
	}, inAdapter, "TestInsertHook"},

	// Bodies and functions.
	{mutant{
		"bodies that fail keep their writes", "squidmesh/pgstore/nested.go",
		"if _, failed := tx.Exec(ctx, rollbackTo); failed != nil {",
		"if _, failed := tx.Exec(ctx, release); failed != nil {",
	}, inPG, "TestStore/Nested_AnErrorTakesBackOnlyItsOwn"},
	{mutant{
		"bodies that fail keep their writes, on SQLite", "squidmesh/sqlitestore/transaction.go",
		"if _, err := tx.ExecContext(ctx, \"rollback to squidmesh\"); err != nil {",
		"if _, err := tx.ExecContext(ctx, \"select 1\"); err != nil {",
	}, inSQLite, "TestStore/Nested_AnErrorTakesBackOnlyItsOwn"},
	{mutant{
		"bodies publish by their Commit", "squidmesh/pgstore/nested.go",
		"func (l *lent) Commit(context.Context) error { return l.end() }",
		"func (l *lent) Commit(ctx context.Context) error { return l.Tx.Commit(ctx) }",
	}, inPG, "TestNested_TheEndOfTheHandlePublishesNothing"},
	{mutant{
		"settings of a body outlive it", "squidmesh/pgstore/nested.go",
		"\tbefore.restore(batch)\n",
		"",
	}, inPG, "TestNested_TheSettingsOfABodyEndWithIt"},
	{mutant{
		"an abandoned body is talked over", "squidmesh/pgstore/nested.go",
		"owner.abandon()\n",
		"over = false\n",
	}, inPG, "TestNested_NobodyTalksOverAConnectionThatIsInUse"},
	{mutant{
		"functions that exit succeed", "squidmesh/perform_execute.go",
		`result := stepResult{err: Fail(WithCode(flow.CodeExited, errors.New("the step's goroutine ended without returning")))}`,
		`result := stepResult{}`,
	}, inRuntime, "TestHostileFunctions/goexit"},
	{mutant{
		"every attempt has a key of its own", "squidmesh/perform_execute.go",
		`IdempotencyKey: x.claim.Run.String() + "-" + x.claim.Name,`,
		`IdempotencyKey: fmt.Sprint(x.claim.Run, "-", x.claim.Name, x.claim.Attempt),`,
	}, inRuntime, "TestInfo_TellsAnAttemptAboutItself"},

	// Cron and retention.
	{mutant{
		"windows fire as often as somebody ticks", "squidmesh/pgstore/sql/cron.sql",
		"order by t.next_at, t.workflow, t.name\nlimit @limit\nfor no key update of t skip locked;",
		"order by t.next_at, t.workflow, t.name\nlimit @limit;",
	}, inPG, "TestStore/Cron_TriggersAreLocked"},
	{mutant{
		"to register triggers waits for who operates them", "squidmesh/pgstore/sql/cron.sql",
		"where not exists (select from /* schema */squidmesh_trigger as t where t.workflow = u.workflow and t.name = u.name)",
		"where true",
	}, inPG, "TestStore/Cron_RegisteringWaitsForNobody"},
	{mutant{
		"deliveries of a window do not take turns", "squidmesh/pgstore/sql/cron.sql",
		"order by t.workflow, t.name\nfor no key update of t;",
		"order by t.workflow, t.name;",
	}, inPG, "TestStore/Cron_TriggersAreLocked"},
	{mutant{
		"nobody looks for who could take a delivery", "squidmesh/commit_write.go",
		"_, e.Elsewhere = around.Taker(",
		"_, _ = around.Taker(",
	}, inShell, "TestShared_Step"},
	{mutant{
		"nobody looks for who knows a trigger", "squidmesh/cron_perform.go",
		"case around.Knows(key, now):",
		"case around.Knows(key, now) && false:",
	}, inShell, "TestShared_Fire"},
	{mutant{
		"cron jobs forget when they were due", "riveradapter/worker.go",
		"args.DueAt = dueAt(job.JobRow)",
		"args.DueAt = time.Time{}",
	}, inShell, "TestShared_CronJob"},
	{mutant{
		"cron jobs for later were due when they were created", "riveradapter/timing.go",
		"f.At.Before(job.CreatedAt) {",
		"true {",
	}, inShell, "TestShared_CronJob"},
	{mutant{
		"cron jobs are due whenever their metadata say", "riveradapter/timing.go",
		"f.At.After(job.AttemptedAt.Add(maxEarly))",
		"false",
	}, "./riveradapter", "TestDueAt"},
	{mutant{
		"cron runs have no key", "squidmesh/cron_perform.go",
		`Actor: "cron", Key: flow.CronKey(d.Trigger, names[len(names)-1])}`,
		`Actor: "cron"}`,
	}, inRuntime, "TestCron/sqlite/DeliveriesFromElsewhere"},
	{mutant{
		"cron deliveries without signal and window are each a run", "squidmesh/cron_perform.go",
		`case d.Job != "":`,
		`case false:`,
	}, inRuntime, "TestCron/sqlite/AJobWithoutAWindowStartsOneRun"},
	{mutant{
		"windows that have not come start runs", "squidmesh/cron_perform.go",
		"if window != nil && window.StartAt.After(now.Add(windowAhead)) {",
		"if false {",
	}, inRuntime, "TestCron/sqlite/AWindowThatHasNotComeStartsNothing"},
	{mutant{
		"deliveries from elsewhere overlap", "squidmesh/cron_perform.go",
		"if trigger.Overlap != OverlapAllow {",
		"if false {",
	}, inRuntime, "TestCron/sqlite/DeliveriesFromElsewhereGoByOverlap"},
	{mutant{
		"cron runs have keys that callers can choose", "squidmesh/flow/run_key.go",
		`return CronSpace + "cron:" +`,
		`return "cron:" +`,
	}, inRuntime, "TestCron/sqlite/CallersKeysDoNotReachWindows"},
	{mutant{
		"a changed schedule drops what the old one owes", "squidmesh/cron_fire.go",
		"owed, row.NextAt = firesDue(row, old, now)",
		"_, row.NextAt = row.fires(old, now)",
	}, inRuntime, "TestCron/sqlite/AChangedScheduleOwesTheOldWindow"},
	{mutant{
		"a changed schedule counts real time anew", "internal/schedule/schedule.go",
		"if s.every == 0 || old.every == 0 || nextAt.IsZero() {",
		"if true {",
	}, inRuntime, "TestCron/sqlite/SchedulesThatTakeTurnsFire"},
	{mutant{
		"the second to pause takes the place of the first", "squidmesh/cron_operate.go",
		"if err != nil || row.Paused == paused {",
		"if err != nil {",
	}, inRuntime, "TestCron/sqlite/WhoOperatesATriggerIsRecorded"},
	{mutant{
		"runs of fires by hand are cron's", "squidmesh/cron_perform.go",
		"s.event.Actor = cmp.Or(f.Actor, s.event.Actor)",
		"",
	}, inRuntime, "TestCron/sqlite/AFireByHandSaysWhoAndWhy"},
	{mutant{
		"what moves a trigger on forgets who paused it", "squidmesh/sqlitestore/sql/cron.sql",
		"update squidmesh_trigger as t set next_at = nullif(u.value ->> 7, 0)\n",
		"update squidmesh_trigger as t set next_at = nullif(u.value ->> 7, 0), actor = null\n",
	}, "./squidmesh/sqlitestore", "TestStore/Cron_TriggersAreOperated"},
	{mutant{
		"comments on fires are not sealed", "squidmesh/seal_store.go",
		"if f.Comment, err = s.sealText(ctx, firePlace(*f), f.Comment); err != nil {",
		"if _, err = s.sealText(ctx, firePlace(*f), f.Comment); err != nil {",
	}, inRuntime, "TestCodec_SealsWhatOperatorsSay"},
	{mutant{
		"old values are sealed without the lock", "squidmesh/seal_runs.go",
		"locked, err := store.Lock(ctx, tx, driver.LockQuery{Runs: []RunID{id}})",
		"locked, err := driver.Locked{Runs: map[flow.RunID]flow.Run{id: {}}}, error(nil)",
	}, inRuntime, "TestSealRuns_LocksOneRunBeforeItReads"},
	{mutant{
		"errors of old attempts stay in the clear", "squidmesh/seal_runs.go",
		"if a.Error, err = s.failure(ctx, run.ID, a.Error); err != nil {",
		"if _, err = s.failure(ctx, run.ID, a.Error); err != nil {",
	}, inRuntime, "TestSealRuns/memory/SealsAllThatACodecWouldHaveSealed"},
	{mutant{
		"forgeries in the clear are sealed", "squidmesh/seal_runs.go",
		"Plain: !rt.config.RequireSealed,",
		"Plain: true,",
	}, inRuntime, "TestSealRuns/memory/TrustsNothingPlainWhereNoneIsToBe"},
	{mutant{
		"keys that are to be retired seal", "squidmesh/seal_runs.go",
		"if err == nil && slices.Contains(r.keys, id) {",
		"if false {",
	}, inRuntime, "TestSealRuns/memory/ChangesKeys"},
	{mutant{
		"old hashes are not found", "squidmesh/pgstore/sql/seal.sql",
		"        select p.key_hash\n        union all\n",
		"",
	}, inPG, "TestStore/Seal_FindsWhatIsToBeSealed"},
	{mutant{
		"a failure that quotes a sealed one is not found", "squidmesh/pgstore/sql/seal.sql",
		"^\\{\"step\"",
		"\\{\"step\"",
	}, inPG, "TestStore/Seal_FindsWhatIsToBeSealed"},
	{mutant{
		"a start does not keep the definition that it counts on", "squidmesh/pgstore/sql/spec.sql",
		"for key share;",
		";",
	}, inRuntime, "TestPrune_LeavesTheShapesOfOpenStarts"},
	{mutant{
		"a start keeps its definition from everybody", "squidmesh/pgstore/sql/spec.sql",
		"for key share;",
		"for update;",
	}, inRuntime, "TestStartRunTx_HoldsNobodyUp"},
	{mutant{
		"what may roll back counts as saved", "squidmesh/pgstore/sql/spec.sql",
		" and used_at < transaction_timestamp();",
		";",
	}, inRuntime, "TestStartRunTx_SavesOnce"},
	{mutant{
		"a definition goes whose run came meanwhile", "squidmesh/pgstore/sql/prune.sql",
		"where s.shape = any($1::text[]) and not /* include ShapeHasRuns */;",
		"where s.shape = any($1::text[]);",
	}, inPG, "TestPrune_LeavesAShapeWhoseRunCameMeanwhile"},
	{mutant{
		"runs are pruned by their beginning", "squidmesh/pgstore/sql/prune.sql",
		"where status = $1 and finished_at < $2",
		"where status = $1 and created_at < $2",
	}, inPG, "TestStore/Prune_TakesWhatIsTooOldAndNothingElse"},
	{mutant{
		"pruned windows are forgotten", "squidmesh/pgstore/sql/prune.sql",
		"set pruned_to = greatest(t.pruned_to, l.at)",
		"set pruned_to = t.pruned_to",
	}, inPG, "TestStore/Prune_RemembersTheWindows"},

	// Free texts.
	{mutant{
		"an event forgets its free text", "squidmesh/flow/event_traits.go",
		"Stage: StageRelease, Attempted: e.Attempted, Ends: true, Shared: true, Reworded: e.reworded}",
		"Stage: StageRelease, Attempted: e.Attempted, Ends: true, Shared: true}",
	}, inLaw, "TestReword_ReachesEveryFreeTextOfEveryEvent"},
	{mutant{
		"observers get comments as they are", "squidmesh/flow/rewording.go",
		"d.Comment = say(TextComment, d.Comment)",
		"_ = d.Comment",
	}, inRuntime, "TestObserver_GetsNoFreeTextAsItIs"},
}
