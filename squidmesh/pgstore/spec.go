package pgstore

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// Specs implements squidmesh.Store.
func (s *Store) Specs(ctx context.Context, tx pgx.Tx, save []*squidmesh.Spec, get []string) (map[string]*squidmesh.Spec, error) {
	found := map[string]*squidmesh.Spec{}
	batch := &pgx.Batch{}
	if len(save) > 0 {
		save = slices.SortedFunc(slices.Values(save), func(a, b *squidmesh.Spec) int { return cmp.Compare(a.Shape(), b.Shape()) })
		bodies := make([]string, len(save))
		for i, spec := range save {
			body, err := json.Marshal(spec)
			if err != nil {
				return nil, fmt.Errorf("encode spec %s: %w", spec.Shape(), err)
			}
			bodies[i] = string(body)
		}
		batch.Queue(s.sql("SaveSpecs"),
			column(save, func(s **squidmesh.Spec) string { return (*s).Shape() }),
			column(save, func(s **squidmesh.Spec) string { return (*s).Workflow() }), bodies)
	}
	if len(get) > 0 {
		batch.Queue(s.sql("Specs"), get).Query(func(rows pgx.Rows) error {
			var shape string
			var body []byte
			_, err := pgx.ForEachRow(rows, []any{&shape, &body}, func() error {
				found[shape] = &squidmesh.Spec{}
				if err := json.Unmarshal(body, found[shape]); err != nil {
					return fmt.Errorf("decode spec %s: %w", shape, err)
				}
				return nil
			})
			return err
		})
	}
	if batch.Len() == 0 {
		return found, nil
	}
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return nil, err
	}
	return found, nil
}
