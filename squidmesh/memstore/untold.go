package memstore

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
)

// TakeUntold implements driver.Store.
func (s *Store) TakeUntold(ctx context.Context, tx *Tx, before time.Time, limit int) ([]driver.EntryKey, error) {
	if err := tx.writable(ctx); err != nil {
		return nil, err
	}
	var keys []driver.EntryKey
	for key, at := range tx.state.untold {
		if !at.After(before) {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b driver.EntryKey) int {
		return cmp.Or(slices.Compare(a.Run[:], b.Run[:]), cmp.Compare(a.Seq, b.Seq))
	})
	keys = capped(keys, limit)
	for _, key := range keys {
		delete(tx.state.untold, key)
	}
	return keys, nil
}
