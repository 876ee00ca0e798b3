package sqlitestore

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/squidmesh/squidmesh-go/internal/encode"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// SaveSpecs implements driver.Store. It always makes the note, as one transaction writes at a time.
func (s *Store) SaveSpecs(ctx context.Context, tx *sql.Tx, specs []*flow.Spec, _ bool) (known bool, err error) {
	var rows [][]any
	for _, spec := range specs {
		body, err := encode.JSON(spec)
		if err != nil {
			return false, fmt.Errorf("encode spec %s: %w", spec.Shape(), err)
		}
		rows = append(rows, []any{spec.Shape(), spec.Workflow(), string(body)})
	}
	return false, s.write(ctx, tx, "SaveSpecs", rows, false)
}

// Specs implements driver.Store.
func (s *Store) Specs(ctx context.Context, tx *sql.Tx, shapes []string) (map[string]*flow.Spec, error) {
	wanted, err := list(shapes)
	if err != nil {
		return nil, err
	}
	found := map[string]*flow.Spec{}
	specs, err := query(ctx, tx, scanSpec, s.sql("Specs"), wanted)
	for _, spec := range specs {
		found[spec.Shape()] = spec
	}
	return found, err
}

func scanSpec(rows *sql.Rows) (*flow.Spec, error) {
	var shape string
	var body json.RawMessage
	if err := rows.Scan(&shape, document{&body}); err != nil {
		return nil, err
	}
	spec := &flow.Spec{}
	if err := json.Unmarshal(body, spec); err != nil {
		return nil, fmt.Errorf("decode spec %s: %w", shape, err)
	}
	return spec, nil
}
