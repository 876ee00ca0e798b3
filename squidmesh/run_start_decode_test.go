package squidmesh_test

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// By whatever call a payload comes, one that the contract's types do not read starts nothing.
func TestStart_DecodesByEveryCall(t *testing.T) {
	t.Parallel()
	type loose struct {
		ID string `json:"id"`
	}
	type exact struct {
		ID uuid.UUID `json:"id"`
	}
	store := dbtest.SQLite(t, nil)
	workflow := func(contract squidmesh.Contract) squidmesh.Workflow {
		return squidmesh.Workflow{
			Name: "parcel", Triggers: []squidmesh.Trigger{squidmesh.Manual("go", contract)},
			Steps: []squidmesh.Step{{Name: "act", Do: squidmesh.Effect(func(context.Context, nothing) error { return nil })}},
		}
	}
	before := sealedRuntime(t, store, nil, workflow(squidmesh.Payload[loose]()))
	source, err := before.StartRun(t.Context(), squidmesh.StartParams{Workflow: "parcel", Payload: loose{"abc"}})
	require.NoError(t, err)
	_, err = before.CancelRun(t.Context(), source.ID, squidmesh.CancelParams{})
	require.NoError(t, err)

	today := sealedRuntime(t, store, nil, workflow(squidmesh.Payload[exact]()))
	tx, err := store.DB().BeginTx(t.Context(), nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, tx.Rollback()) }()
	start := squidmesh.StartParams{Workflow: "parcel", Payload: loose{"abc"}, Key: "7"}
	for name, call := range map[string]func() error{
		"StartRunTx": func() error { _, err := today.StartRunTx(t.Context(), tx, start); return err },
		"ReplayRunTx": func() error {
			_, err := today.ReplayRunTx(t.Context(), tx, source.ID, squidmesh.ReplayParams{})
			return err
		},
		"StartRun":  func() error { _, err := today.StartRun(t.Context(), start); return err },
		"ReplayRun": func() error { _, err := today.ReplayRun(t.Context(), source.ID, squidmesh.ReplayParams{}); return err },
	} {
		var wrong *squidmesh.PayloadError
		require.ErrorAs(t, call(), &wrong, name)
		require.Len(t, wrong.Problems, 1, name)
		require.Equal(t, [2]string{"id", "wrong_format"}, [2]string{wrong.Problems[0].Field, wrong.Problems[0].Code}, name)
	}
}
