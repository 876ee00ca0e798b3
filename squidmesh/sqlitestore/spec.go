package sqlitestore

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// Specs implements squidmesh.Store.
func (s *Store) Specs(ctx context.Context, tx *sql.Tx, save []*squidmesh.Spec, get []string) (map[string]*squidmesh.Spec, error) {
	var rows [][]any
	for _, spec := range save {
		body, err := json.Marshal(spec)
		if err != nil {
			return nil, fmt.Errorf("encode spec %s: %w", spec.Shape(), err)
		}
		rows = append(rows, []any{spec.Shape(), spec.Workflow(), string(body)})
	}
	if err := s.write(ctx, tx, "SaveSpecs", rows, false); err != nil {
		return nil, err
	}
	found := map[string]*squidmesh.Spec{}
	if len(get) == 0 {
		return found, nil
	}
	shapes, err := list(get)
	if err != nil {
		return nil, err
	}
	specs, err := query(ctx, tx, scanSpec, s.sql("Specs"), shapes)
	for _, spec := range specs {
		found[spec.Shape()] = spec
	}
	return found, err
}

func scanSpec(rows *sql.Rows) (*squidmesh.Spec, error) {
	var shape string
	var body json.RawMessage
	if err := rows.Scan(&shape, document{&body}); err != nil {
		return nil, err
	}
	spec := &squidmesh.Spec{}
	if err := json.Unmarshal(body, spec); err != nil {
		return nil, fmt.Errorf("decode spec %s: %w", shape, err)
	}
	return spec, nil
}
