package sqlitestore

import (
	"context"
	"database/sql"
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
)

// TakeUntold implements driver.Store.
func (s *Store) TakeUntold(ctx context.Context, tx *sql.Tx, before time.Time, limit int) ([]driver.EntryKey, error) {
	return query(ctx, tx, func(rows *sql.Rows) (key driver.EntryKey, err error) {
		err = rows.Scan(&key.Run, &key.Seq)
		return key, err
	}, s.sql("TakeUntold"), micros(before), limit)
}
