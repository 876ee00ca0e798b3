package squidmesh_test

import (
	"bytes"
	"context"
	"fmt"

	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/memstore"
)

// A program turns encryption on although there are runs already, and changes the key a year later.
func ExampleRuntime_SealRuns() {
	ctx, store := context.Background(), memstore.New(nil)
	program := func(codec squidmesh.Codec) *squidmesh.Runtime[*memstore.Tx] {
		rt, err := squidmesh.New(&squidmesh.Config[*memstore.Tx]{
			Store: store, Executor: deafQueue[*memstore.Tx]{}, Codec: codec,
			Workflows: []squidmesh.Workflow{{
				Name:     "pay",
				Triggers: []squidmesh.Trigger{squidmesh.Manual("ordered", squidmesh.Payload[Order]())},
				Steps:    []squidmesh.Step{{Name: "review", Do: squidmesh.Approval(), Output: "review", OnError: squidmesh.Complete}},
			}},
		})
		check(err)
		return rt
	}
	for _, id := range []string{"1001", "1002"} {
		_, err := program(nil).StartRun(ctx, squidmesh.StartParams{Workflow: "pay", Payload: Order{ID: id}})
		check(err)
	}

	year1, year2 := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32) // in earnest: random ones
	ring, err := squidmesh.NewKeyring("2025-11", map[string][]byte{"2025-11": year1})
	check(err)
	result, err := program(ring).SealRuns(ctx, squidmesh.SealParams{})
	fmt.Println("sealed", result.Values, "values of", result.Runs, "runs", err)
	result, err = program(ring).SealRuns(ctx, squidmesh.SealParams{})
	fmt.Println("sealed", result.Values, err)

	ring, err = squidmesh.NewKeyring("2026-11", map[string][]byte{"2026-11": year2, "2025-11": year1})
	check(err)
	result, err = program(ring).SealRuns(ctx, squidmesh.SealParams{Retire: []string{"2025-11"}})
	fmt.Println("sealed", result.Values, "anew", err)

	ring, err = squidmesh.NewKeyring("2026-11", map[string][]byte{"2026-11": year2})
	check(err)
	page, err := program(ring).ListRuns(ctx, squidmesh.ListParams{})
	check(err)
	in, err := program(ring).InspectRun(ctx, page.Runs[0].ID, nil)
	check(err)
	fmt.Println(string(in.Run.Payload))
	// Output:
	// sealed 2 values of 2 runs <nil>
	// sealed 0 <nil>
	// sealed 2 anew <nil>
	// {"cents":0,"id":"1002"}
}
