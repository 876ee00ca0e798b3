package main

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// clock fires every second, and makes up for the seconds in which PostgreSQL was away.
func clock() squidmesh.Workflow {
	tick := squidmesh.Cron("tick", "@every 1s", "", squidmesh.Contract{})
	tick.Missed, tick.CatchUp = squidmesh.MissedCatchUp, 100
	return squidmesh.Workflow{
		Name:     "clock",
		Triggers: []squidmesh.Trigger{tick},
		Steps:    []squidmesh.Step{{Name: "strike", Do: squidmesh.Effect(func(context.Context, struct{}) error { return nil })}},
	}
}

// cronFigures counts the windows between the first and the last one that fired, and how many of them were missed or fired twice.
// Where nothing fires, it counts none.
func cronFigures(ctx context.Context, pool *pgxpool.Pool) (windows, missed, duplicated int, err error) {
	rows, err := pool.Query(ctx, `select window_at from squidmesh_run
		where workflow = 'clock' and window_at is not null and replayed_from is null order by window_at`)
	if err != nil {
		return 0, 0, 0, err
	}
	fired, err := pgx.CollectRows(rows, pgx.RowTo[time.Time])
	if err != nil || len(fired) == 0 {
		return 0, 0, 0, err
	}
	windows = int(fired[len(fired)-1].Sub(fired[0])/time.Second) + 1
	distinct := 1
	for i := range fired[1:] {
		if fired[i+1].Equal(fired[i]) {
			duplicated++
		} else {
			distinct++
		}
	}
	return windows, max(windows-distinct, 0), duplicated, nil
}
