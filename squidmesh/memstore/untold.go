package memstore

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// TakeUntold implements squidmesh.Store.
func (s *Store) TakeUntold(ctx context.Context, tx *Tx, before time.Time, limit int) ([]squidmesh.EntryKey, error) {
	if err := tx.writable(ctx); err != nil {
		return nil, err
	}
	var keys []squidmesh.EntryKey
	for key, at := range tx.state.untold {
		if !at.After(before) {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b squidmesh.EntryKey) int {
		return cmp.Or(slices.Compare(a.Run[:], b.Run[:]), cmp.Compare(a.Seq, b.Seq))
	})
	keys = capped(keys, limit)
	for _, key := range keys {
		delete(tx.state.untold, key)
	}
	return keys, nil
}
