package pgstore

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/squidmesh/squidmesh-go/internal/encode"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// SaveSpecs implements driver.Store.
func (s *Store) SaveSpecs(ctx context.Context, tx pgx.Tx, specs []*flow.Spec, note bool) (known bool, err error) {
	bodies := make([]string, len(specs))
	for i, spec := range specs {
		body, err := encode.JSON(spec)
		if err != nil {
			return false, fmt.Errorf("encode spec %s: %w", spec.Shape(), err)
		}
		bodies[i] = string(body)
	}
	shapes := column(specs, func(s **flow.Spec) string { return (*s).Shape() })
	workflows := column(specs, func(s **flow.Spec) string { return (*s).Workflow() })
	batch := &pgx.Batch{}
	if note {
		batch.Queue(s.sql("NoteSpecs"), shapes)
	} else {
		batch.Queue(s.sql("KeepSpecs"), shapes)
	}
	batch.Queue(s.sql("SaveSpecs"), shapes, workflows, bodies)
	batch.Queue(s.sql("KnownSpecs"), shapes).QueryRow(func(row pgx.Row) error { return row.Scan(&known) })
	err = tx.SendBatch(ctx, batch).Close()
	return known, err
}

// Specs implements driver.Store.
func (s *Store) Specs(ctx context.Context, tx pgx.Tx, shapes []string) (map[string]*flow.Spec, error) {
	rows, err := tx.Query(ctx, s.sql("Specs"), shapes)
	if err != nil {
		return nil, err
	}
	found := map[string]*flow.Spec{}
	var shape string
	var body []byte
	_, err = pgx.ForEachRow(rows, []any{&shape, &body}, func() error {
		found[shape] = &flow.Spec{}
		if err := json.Unmarshal(body, found[shape]); err != nil {
			return fmt.Errorf("decode spec %s: %w", shape, err)
		}
		return nil
	})
	return found, err
}
