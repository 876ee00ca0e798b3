package pgstore

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// Lock implements driver.Store in one round trip.
func (s *Store) Lock(ctx context.Context, tx pgx.Tx, q driver.LockQuery) (driver.Locked, error) {
	locked := driver.Locked{Runs: make(map[flow.RunID]flow.Run, len(q.Runs))}
	batch := &indexed{}
	if len(q.Runs) > 0 {
		statement := s.sql("Lock")
		if q.SkipLocked {
			statement = s.sql("LockSkipping")
		}
		batch.add(statement, uuids(q.Runs)).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				run, err := scanRun(rows)
				if err != nil {
					return err
				}
				locked.Runs[run.ID] = run
			}
			return rows.Err()
		})
	}
	var at time.Time
	batch.add(s.sql("Clock"), int64(q.Worker)).QueryRow(func(row pgx.Row) error {
		return row.Scan(&at, &locked.WorkerLost)
	})
	if err := batch.send(ctx, tx); err != nil {
		return driver.Locked{}, err
	}
	locked.Now = s.now(at)
	return locked, nil
}
