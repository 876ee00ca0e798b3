package squidmesh

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/squidmesh/squidmesh-go/internal/check"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// InspectOptions say how much of a run to read.
type InspectOptions struct {
	// History adds outputs, attempts and the audit.
	History bool
}

// Inspection is a run as one consistent read found it.
type Inspection struct {
	Run  Run   `json:"run"` // with its payload
	Spec *Spec `json:"spec"`

	// Steps are all steps of the definition that the run is pinned to, reached or not. Children follow their block.
	Steps []StepInspection `json:"steps"`

	// Attempts are those that did not succeed at the first try, oldest first. Only with History.
	Attempts []flow.AttemptRecord `json:"attempts,omitzero"`

	// Audit has the entries in their order. Only with History.
	Audit []flow.AuditEntry `json:"audit,omitzero"`
}

// StepInspection is one step of an inspected run.
type StepInspection struct {
	Name  string    `json:"name"`
	Kind  flow.Kind `json:"kind"`
	Block string    `json:"block,omitzero"`

	// Status is a [flow.StepStatus]. A step without a row is "waiting", or "skipped" once the run has ended. A row that waits for
	// other steps is "waiting" too.
	Status string `json:"status"`

	// Do and Undo are the rows of the step's phases. They are nil if there is no row.
	Do   *flow.StepState `json:"do,omitzero"`
	Undo *flow.StepState `json:"undo,omitzero"`

	// Output is the step's result. Only with History.
	Output json.RawMessage `json:"output,omitzero"`

	// Error is the latest failure of an attempt of Do. Only with History.
	Error *StepError `json:"error,omitzero"`
}

// Statuses of inspected steps besides those of rows.
const (
	InspectWaiting = "waiting"
	InspectSkipped = "skipped"
)

// InspectRun reads a run. Options may be nil. Errors: [ErrNotFound], [ErrUnknownShape], [ErrInsideTransaction].
func (rt *Runtime[TTx]) InspectRun(ctx context.Context, id RunID, options *InspectOptions) (*Inspection, error) {
	if err := checkCall(ctx); err != nil {
		return nil, err
	}
	var in *Inspection
	err := rt.view(ctx, func(ctx context.Context, tx TTx) (err error) {
		in, err = rt.InspectRunTx(ctx, tx, id, options)
		return err
	})
	return in, err
}

// InspectRunTx is InspectRun within the caller's transaction. It sees what the transaction has written.
func (rt *Runtime[TTx]) InspectRunTx(ctx context.Context, tx TTx, id RunID, options *InspectOptions) (*Inspection, error) {
	if err := checkJoin(ctx, tx); err != nil {
		return nil, err
	}
	run, p, loaded, err := rt.viewRun(ctx, tx, id, options != nil && options.History)
	if err != nil {
		return nil, rt.joinError(err)
	}
	in := &Inspection{Run: run, Spec: p.spec}
	var errs map[string]*StepError
	if options != nil && options.History {
		history, err := rt.store.History(ctx, tx, id)
		if err != nil {
			return nil, rt.joinError(fmt.Errorf("read history of run %s: %w", id, err))
		}
		in.Attempts, in.Audit = history.Attempts, history.Audit
		errs = map[string]*StepError{}
		for _, a := range in.Attempts {
			if a.Phase == flow.PhaseDo && a.Error != nil {
				errs[a.Name] = a.Error
			}
		}
	}
	for i := range p.spec.Steps() {
		st := &p.spec.Steps()[i]
		step := StepInspection{Name: st.Name, Kind: st.Kind, Block: st.Block, Output: loaded.Outputs[st.Name], Error: errs[st.Name]}
		if row, ok := loaded.Steps[flow.StepKey{Name: st.Name, Phase: flow.PhaseDo}]; ok {
			step.Do = &row
		}
		if row, ok := loaded.Steps[flow.StepKey{Name: st.Name, Phase: flow.PhaseUndo}]; ok {
			step.Undo = &row
		}
		step.Status = inspectedStatus(run, step.Do)
		in.Steps = append(in.Steps, step)
	}
	return in, nil
}

func inspectedStatus(run Run, row *flow.StepState) string {
	switch {
	case row != nil && !(row.Status == flow.StepScheduled && row.Missing > 0):
		return string(row.Status)
	case run.Status.Terminal():
		return InspectSkipped
	default:
		return InspectWaiting
	}
}

// viewRun reads a run's row, its pinned shape and all its step rows.
func (rt *Runtime[TTx]) viewRun(ctx context.Context, tx TTx, id RunID, outputs bool) (Run, *pinned, driver.Loaded, error) {
	run, err := rt.findRun(ctx, tx, id)
	if err != nil {
		return Run{}, nil, driver.Loaded{}, err
	}
	p, err := rt.definitions.pin(ctx, tx, run)
	if err != nil {
		return Run{}, nil, driver.Loaded{}, err
	}
	reads := flow.Reads{All: true}
	if outputs {
		for i := range p.spec.Steps() {
			reads.Outputs = append(reads.Outputs, p.spec.Steps()[i].Name)
		}
	}
	loaded, err := rt.loadRun(ctx, tx, id, reads)
	if err != nil {
		return Run{}, nil, driver.Loaded{}, err
	}
	return run, p, loaded, nil
}

// ListParams say which runs to list. A zero field selects all.
type ListParams struct {
	Workflow string
	Statuses []RunStatus
	Key      string

	// CreatedFrom is inclusive, CreatedBefore exclusive.
	CreatedFrom, CreatedBefore time.Time

	// Limit is the size of a page, from 1 to 1000. Zero means 50.
	Limit int

	// Cursor is the Next of the page before. Empty selects the first page.
	Cursor string
}

// RunPage is one page of runs, newest first, without payloads.
type RunPage struct {
	Runs []Run `json:"runs"`

	// Next is the cursor of the following page. It is empty on the last page.
	Next string `json:"next,omitzero"`
}

// ListRuns lists runs, newest first. Errors: [*InputError], [ErrInsideTransaction].
func (rt *Runtime[TTx]) ListRuns(ctx context.Context, params ListParams) (RunPage, error) {
	if err := checkCall(ctx); err != nil {
		return RunPage{}, err
	}
	q, err := params.query()
	if err != nil {
		return RunPage{}, err
	}
	var page RunPage
	err = rt.view(ctx, func(ctx context.Context, tx TTx) (err error) {
		page.Runs, err = rt.store.Find(ctx, tx, q)
		return err
	})
	if err != nil {
		return RunPage{}, fmt.Errorf("list runs: %w", err)
	}
	if page.Runs == nil {
		page.Runs = []Run{} // in JSON an empty list
	}
	if len(page.Runs) == q.Limit { // one more than asked for
		page.Runs = page.Runs[:q.Limit-1]
		last := page.Runs[len(page.Runs)-1]
		page.Next = encodeCursor(driver.RunCursor{CreatedAt: last.CreatedAt, ID: last.ID})
	}
	return page, nil
}

func (p ListParams) query() (driver.RunQuery, error) {
	q := driver.RunQuery{
		Workflow: p.Workflow, Statuses: p.Statuses, Key: p.Key, CreatedFrom: p.CreatedFrom, CreatedBefore: p.CreatedBefore,
	}
	err := cmp.Or(
		check.Name("Workflow", p.Workflow),
		check.Statuses("Statuses", p.Statuses),
		check.Line("Key", p.Key, maxKey),
		check.Time("CreatedFrom", p.CreatedFrom),
		check.Time("CreatedBefore", p.CreatedBefore),
		check.Range("Limit", p.Limit, 0, 1000),
	)
	if err != nil {
		return q, err
	}
	if !p.CreatedFrom.IsZero() && !p.CreatedBefore.IsZero() && !p.CreatedFrom.Before(p.CreatedBefore) {
		return q, &InputError{Field: "CreatedBefore", Code: "out_of_range", Detail: "is not after CreatedFrom, so there is nothing to list"}
	}
	q.Limit = cmp.Or(p.Limit, 50) + 1
	if p.Cursor != "" {
		cursor, err := decodeCursor(p.Cursor)
		if err != nil {
			return q, &InputError{Field: "Cursor", Code: "invalid_cursor", Detail: "is not one that a page gave: start from the first page"}
		}
		q.After = &cursor
	}
	return q, nil
}

func encodeCursor(c driver.RunCursor) string {
	return base64.RawURLEncoding.EncodeToString([]byte(c.CreatedAt.UTC().Format(time.RFC3339Nano) + " " + c.ID.String()))
}

// decodeCursor takes exactly what encodeCursor gives.
func decodeCursor(s string) (driver.RunCursor, error) {
	data, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return driver.RunCursor{}, err
	}
	at, id, _ := strings.Cut(string(data), " ")
	var c driver.RunCursor
	if c.CreatedAt, err = time.Parse(time.RFC3339Nano, at); err != nil {
		return driver.RunCursor{}, err
	}
	if c.ID, err = uuid.Parse(id); err != nil {
		return driver.RunCursor{}, err
	}
	if encodeCursor(c) != s {
		return driver.RunCursor{}, errors.New("cursor is written otherwise than pages write theirs")
	}
	return c, nil
}
