// Package riveradapter delivers squidmesh's work by River.
//
// An [Executor] inserts River jobs in the transaction that decides on them, so a step and the job that will deliver it exist
// together or not at all. The workers of [AddWorkers] hand what River delivers to the runtime, which alone decides what becomes of
// it: River's rows carry deliveries and are never read as the truth about a run.
//
// A program builds its parts in this order, since workers need the runtime, the client needs the workers, and the
// executor needs the client:
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
// A program that only starts runs, and executes none, uses an insert-only client: without queues, and without workers or
// with those of AddWorkers.
//
// # What River sees
//
// Three kinds of job, named by [KindStep], [KindCompensation] and [KindCron], whose arguments are a
// [driver.Delivery]: ids only, since River indexes every key and value. The tags workflow_NAME and step_NAME let River UI filter.
// River's attempts count crashes and lost databases, not the attempts of a step, and never run out. A step that fails
// is not an error to River: error handlers and trackers hear of infrastructure only.
//
// Jobs of other kinds, and the hooks and middleware of the program, are left as they are; global ones run around these
// jobs too.
package riveradapter
