package squidmesh_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh"
)

type Order struct {
	ID    string `json:"id"`
	Cents int    `json:"cents"`
}

type Reservation struct {
	Shelf string `json:"shelf"`
}

func Checkout[TTx any](shop *Shop[TTx]) squidmesh.Workflow {
	return squidmesh.Workflow{
		Name:     "checkout",
		Triggers: []squidmesh.Trigger{squidmesh.Manual("ordered", squidmesh.Payload[Order]())},
		Steps: []squidmesh.Step{
			// Its writes and its result commit in one transaction: exactly once.
			{Name: "reserve", Do: squidmesh.FuncTx(shop.Reserve), Undo: squidmesh.EffectTx(shop.Release), Next: "review"},
			// The run waits until somebody calls ApproveRun or RejectRun.
			{Name: "review", Do: squidmesh.Approval(), Output: "approval", Next: "charge", OnError: "decline"},
			// Five attempts. If the last one fails, the run fails, and Release undoes the reservation.
			{Name: "charge", Do: squidmesh.Effect(shop.Charge), Retry: squidmesh.Exponential(5, time.Second, time.Minute)},
			// A rejected order comes here. The run goes on, so nothing is undone by itself: this step releases the reservation.
			{Name: "decline", Do: squidmesh.EffectTx(shop.Release)},
		},
	}
}

// Shop has what the steps of Checkout depend on. Its methods are the steps' functions.
type Shop[TTx any] struct {
	exec func(ctx context.Context, tx TTx, query string, args ...any) error
}

// Reserve takes a copy from the shelf.
func (s *Shop[TTx]) Reserve(ctx context.Context, tx TTx, in Order) (Reservation, error) {
	fmt.Println("reserve", in.ID)
	return Reservation{Shelf: "B7"}, s.exec(ctx, tx, `insert into reservation (order_id, shelf) values ($1, 'B7')`, in.ID)
}

// Release puts the copy back. It reads what Reserve read and what it returned.
func (s *Shop[TTx]) Release(ctx context.Context, tx TTx, in struct {
	ID    string `json:"id"`
	Shelf string `json:"shelf"`
},
) error {
	fmt.Println("release", in.ID, "back to shelf", in.Shelf)
	return s.exec(ctx, tx, `delete from reservation where order_id = $1`, in.ID)
}

// Charge is refused for good by the customer's bank.
func (s *Shop[TTx]) Charge(ctx context.Context, in Order) error {
	fmt.Println("charge", in.Cents)
	return squidmesh.Fail(fmt.Errorf("card declined"))
}

// The workflow of the README: an approved order whose charge fails, and one that is rejected. Both reservations are released.
func Example_readme() {
	rt, stop := start(Checkout(&Shop[*sql.Tx]{exec: func(ctx context.Context, tx *sql.Tx, query string, args ...any) error {
		_, err := tx.ExecContext(ctx, query, args...)
		return err
	}}))
	defer stop()

	ctx := context.Background()
	_, err := rt.db.ExecContext(ctx, `create table reservation (order_id text primary key, shelf text)`)
	check(err)
	tx, err := rt.db.BeginTx(ctx, nil)
	check(err)
	run, err := rt.StartRunTx(ctx, tx, squidmesh.StartParams{Workflow: "checkout", Payload: Order{ID: "1001", Cents: 4990}})
	check(err)
	check(tx.Commit())
	rt.Wake()

	_, err = rt.AwaitRun(ctx, run.ID, squidmesh.RunPaused)
	check(err)
	_, err = rt.ApproveRun(ctx, run.ID, squidmesh.Decision{Actor: "ana"})
	check(err)
	ended, err := rt.AwaitRun(ctx, run.ID)
	check(err)
	fmt.Println(ended.Status+":", ended.Reason.Message)

	rejected, err := rt.StartRun(ctx, squidmesh.StartParams{Workflow: "checkout", Payload: Order{ID: "1002", Cents: 100}})
	check(err)
	_, err = rt.AwaitRun(ctx, rejected.ID, squidmesh.RunPaused)
	check(err)
	_, err = rt.RejectRun(ctx, rejected.ID, squidmesh.Decision{Actor: "ana"})
	check(err)
	ended, err = rt.AwaitRun(ctx, rejected.ID)
	check(err)
	fmt.Println(ended.Status)
	// Output:
	// reserve 1001
	// charge 4990
	// release 1001 back to shelf B7
	// failed: card declined
	// reserve 1002
	// release 1002 back to shelf B7
	// completed
}

// Each Go block of the README is code that compiles and runs in an example.
func TestReadme_CodeIsThatOfTheExamples(t *testing.T) {
	t.Parallel()

	var code strings.Builder
	for _, file := range []string{"example_readme_test.go", "../riveradapter/example_test.go"} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		code.WriteString(unindented(string(text)))
	}
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(readme), -1)
	require.NotEmpty(t, blocks)
	for _, block := range blocks {
		require.Contains(t, code.String(), unindented(block[1]))
	}
}

// The drawing of the README's workflow is what Mermaid makes of it.
func TestReadme_WorkflowIsDrawn(t *testing.T) {
	t.Parallel()

	spec, err := squidmesh.Compile(Checkout(&Shop[*sql.Tx]{}))
	require.NoError(t, err)
	page, err := os.ReadFile("../docs/states.md")
	require.NoError(t, err)
	require.Contains(t, string(page), "```mermaid\n"+spec.Mermaid()+"```\n")
}

func unindented(code string) string {
	return regexp.MustCompile(`(?m)^\t+`).ReplaceAllString(code, "")
}
