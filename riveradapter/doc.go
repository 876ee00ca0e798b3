// Package riveradapter delivers squidmesh's work by River.
//
// An [Executor] inserts River jobs in the transaction that decides on them. So a step and the job that will deliver it exist
// together or not at all. The workers of [AddWorkers] hand River's jobs to the runtime, and only the runtime decides what becomes
// of a run. River's rows carry deliveries; nobody reads them as the truth about a run.
//
// Workers need the runtime, the client needs the workers, and the executor needs the client. So a program builds them in this
// order:
//
//	executor := riveradapter.New[pgx.Tx](nil)
//	rt, err := squidmesh.New(&squidmesh.Config[pgx.Tx]{Store: pgstore.New(pool, nil), Executor: executor, Workflows: workflows})
//	riveradapter.AddWorkers(workers, rt)
//	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
//		Queues: map[string]river.QueueConfig{
//			river.QueueDefault: {MaxWorkers: 100},
//			"squidmesh":        riveradapter.Queue(50),
//		},
//		Workers: workers,
//	})
//	executor.SetClient(client)
//
// A program that only starts runs uses an insert-only client: without queues, and without workers or with those of AddWorkers.
//
// # What River sees
//
// There are three kinds of job: [KindStep], [KindCompensation] and [KindCron]. Their arguments are a [driver.Delivery], which has
// ids only, since River indexes every key and value. The tags workflow_NAME and step_NAME let River UI filter.
//
// River's attempts count crashes and lost databases, not the attempts of a step, and never run out. To River a step that fails is
// no error: error handlers and trackers hear of infrastructure only.
//
// The adapter leaves jobs of other kinds alone, and the program's hooks and middleware too. Global ones run around these jobs as
// well.
package riveradapter
