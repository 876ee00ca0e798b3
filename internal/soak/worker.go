package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/squidmesh/squidmesh-go/riveradapter"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

// member is a process's share in the system: a runtime and its River client.
type member struct {
	pool   *pgxpool.Pool
	rt     *squidmesh.Runtime[pgx.Tx]
	client *river.Client[pgx.Tx]
	ledger *ledger
}

// join builds a member as a program of a user would. With a queue it works.
func join(ctx context.Context, o options, works bool) (*member, error) {
	config, err := pgxpool.ParseConfig(os.Getenv(databaseEnv))
	if err != nil {
		return nil, err
	}
	config.ConnConfig.RuntimeParams["application_name"] = "soak-" + o.name
	config.MaxConns = 12
	pgstore.TunePool(config, nil)
	m := &member{}
	if m.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, err
	}
	if m.ledger, err = openLedger(o.name, o.ledger); err != nil {
		return nil, err
	}
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	executor := riveradapter.New[pgx.Tx](nil)
	m.rt, err = squidmesh.New(&squidmesh.Config[pgx.Tx]{
		Store: pgstore.New(m.pool, nil), Executor: executor, Name: o.name, Logger: logger,
		Workflows: append(workflows(&effects{m.ledger}), clock()),
	})
	if err != nil {
		return nil, err
	}
	settings := &river.Config{ID: o.name, Logger: logger}
	if works {
		settings.Workers = river.NewWorkers()
		riveradapter.AddWorkers(settings.Workers, m.rt)
		settings.Queues = map[string]river.QueueConfig{}
		for _, queue := range m.rt.Queues() {
			settings.Queues[queue] = riveradapter.Queue(16)
		}
	}
	if m.client, err = river.NewClient(riverpgxv5.New(m.pool), settings); err != nil {
		return nil, err
	}
	executor.SetClient(m.client)
	return m, nil
}

// runWorker executes until it is told to stop, or killed.
func runWorker(ctx context.Context, o options) error {
	m, err := join(context.WithoutCancel(ctx), o, true)
	if err != nil {
		return err
	}
	background := context.WithoutCancel(ctx)
	if err := insist(ctx, func() error { return m.rt.Start(background) }); err != nil {
		return err
	}
	if err := insist(ctx, func() error { return m.client.Start(background) }); err != nil {
		return err
	}
	<-ctx.Done()
	patience, cancel := context.WithTimeout(background, 15*time.Second)
	defer cancel()
	// Steps are told to stop by the runtime, so River need not wait for them first.
	stopping := make(chan error, 1)
	go func() { stopping <- m.client.Stop(patience) }()
	if err := m.rt.Stop(patience); err != nil {
		return fmt.Errorf("stop runtime: %w", err)
	}
	return <-stopping
}

// insist repeats what fails while the database is away.
func insist(ctx context.Context, do func() error) error {
	for {
		err := do()
		if err == nil {
			return nil
		}
		fmt.Fprintf(os.Stderr, "again: %v\n", err)
		select {
		case <-ctx.Done():
			return err
		case <-time.After(300 * time.Millisecond):
		}
	}
}
