package squidmesh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/squidmesh/squidmesh-go/internal/check"
	"github.com/squidmesh/squidmesh-go/internal/echo"
	"github.com/squidmesh/squidmesh-go/internal/text"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// deployPage is how many runs are looked at in one transaction.
const deployPage = 500

// DeployOptions say which runs [Runtime.CheckDeploy] looks at, and what it reports.
type DeployOptions struct {
	// Workflows limit the check to runs of these workflows, if several programs share the database. Also name those that the
	// program no longer has, as long as runs of them may be unfinished. Empty means all.
	Workflows []string

	// Named is how many runs each group of the report names, from 1 to 1000. Zero means 10.
	Named int

	// Each, if set, is called for every run, between transactions. Within one of the Workflows the newest run comes first.
	Each func(flow.Prospect)
}

// DeployReport says how the unfinished runs of a database will fare with this program's workflows.
type DeployReport struct {
	// Counts are the runs by outlook.
	Counts map[flow.ProspectCode]int `json:"counts"`

	// Groups are the runs by workflow, shape and outlook. Within a workflow the worst outlook comes first.
	Groups []DeployGroup `json:"groups"`
}

// DeployGroup is a group of runs that have the same shape and the same outlook.
type DeployGroup struct {
	Workflow string            `json:"workflow"`
	Shape    string            `json:"shape"`
	Code     flow.ProspectCode `json:"code"`
	Count    int               `json:"count"`

	// Lacks are the functions that at least one of these runs lacks, in the order in which they were found.
	Lacks []flow.MissingFunction `json:"lacks,omitzero"`

	// Queues are queues that hold deliveries of these runs and that this program's definitions do not use.
	Queues []string `json:"queues,omitzero"`

	// Runs are the newest of these runs, at most [DeployOptions.Named] of them.
	Runs []flow.Prospect `json:"runs"`
}

// CheckDeploy compares the workflows of this runtime with every unfinished run in the database. It says of each run whether it
// continues, finishes on the shape that it is pinned to, may wait or will wait for a function that is missing or does not fit; see
// [flow.PredictDeploy]. Run it with the new version of a program before that takes over. The runtime need not be started.
// CheckDeploy writes nothing, so the database may be a replica. Options may be nil.
//
// It reads the runs page by page, each page in a read-only transaction of its own, and keeps none. It leaves out runs that start
// meanwhile. It names deliveries in queues that this program's definitions do not use. These hold no run up for longer than
// seconds: once no living process uses such a queue, they are sent through today's. CheckDeploy does not check whether anyone works
// a queue; [Runtime.ExplainRun] does.
//
// Errors: [*InputError], [ErrInsideTransaction].
func (rt *Runtime[TTx]) CheckDeploy(ctx context.Context, options *DeployOptions) (*DeployReport, error) {
	if err := checkCall(ctx); err != nil {
		return nil, err
	}
	var o DeployOptions
	if options != nil {
		o = *options
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	o.Named = cmp.Or(o.Named, 10)
	workflows := slices.Compact(slices.Sorted(slices.Values(o.Workflows)))
	if len(workflows) == 0 {
		workflows = []string{""}
	}
	report := &DeployReport{Counts: map[flow.ProspectCode]int{}, Groups: []DeployGroup{}}
	for _, workflow := range workflows {
		if err := rt.foresee(ctx, workflow, o, report); err != nil {
			return nil, fmt.Errorf("check deploy: %w", err)
		}
	}
	report.sort()
	return report, nil
}

func (o DeployOptions) check() error {
	for _, workflow := range o.Workflows {
		if !text.ValidName(workflow) {
			return &InputError{Field: "Workflows", Code: "bad_name", Detail: echo.Quote(workflow) + " is no name of a workflow"}
		}
	}
	return check.Range("Named", o.Named, 0, 1000)
}

// foresee reports on the runs of a workflow; of all for the empty name.
func (rt *Runtime[TTx]) foresee(ctx context.Context, workflow string, o DeployOptions, report *DeployReport) error {
	q := driver.RunQuery{Workflow: workflow, Limit: deployPage}
	for _, status := range flow.RunStatuses {
		if !status.Terminal() {
			q.Statuses = append(q.Statuses, status)
		}
	}
	for {
		var page []flow.Prospect
		var behind driver.RunQuery
		err := rt.view(ctx, func(ctx context.Context, tx TTx) (err error) {
			behind = q
			page, err = rt.foreseePage(ctx, tx, &behind)
			return err
		})
		if err != nil {
			return err
		}
		q = behind
		for _, outlook := range page {
			report.add(outlook, o.Named)
			if o.Each != nil {
				o.Each(outlook)
			}
		}
		if len(page) < q.Limit {
			return nil
		}
	}
}

// foreseePage looks at the runs of one page, and moves the query behind them.
func (rt *Runtime[TTx]) foreseePage(ctx context.Context, tx TTx, q *driver.RunQuery) ([]flow.Prospect, error) {
	runs, err := rt.store.Find(ctx, tx, *q)
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	reads := map[RunID]flow.Reads{}
	for _, run := range runs {
		q.After = &driver.RunCursor{CreatedAt: run.CreatedAt, ID: run.ID}
		reads[run.ID] = flow.Reads{All: true}
	}
	loaded, own := map[RunID]driver.Loaded{}, rt.queues()
	if len(reads) > 0 {
		if loaded, err = rt.store.Load(ctx, tx, reads); err != nil {
			return nil, fmt.Errorf("load %s: %w", text.Count(len(reads), "run"), err)
		}
	}
	outlooks := make([]flow.Prospect, len(runs))
	for i, run := range runs {
		var spec *Spec
		switch p, err := rt.definitions.pin(ctx, tx, run); {
		case err == nil:
			spec = p.spec
		case !errors.Is(err, ErrUnknownShape):
			return nil, err
		}
		outlooks[i] = flow.PredictDeploy(spec, rt.registry.specs[run.Workflow], flow.Snapshot{Run: run, Steps: loaded[run.ID].Steps})
		for _, row := range loaded[run.ID].Steps {
			if row.Status == flow.StepScheduled && row.JobID != "" && !slices.Contains(own, row.Queue) && !slices.Contains(outlooks[i].Queues, row.Queue) {
				outlooks[i].Queues = append(outlooks[i].Queues, row.Queue)
			}
		}
		slices.Sort(outlooks[i].Queues)
	}
	return outlooks, nil
}

func (r *DeployReport) add(o flow.Prospect, named int) {
	r.Counts[o.Code]++
	i := slices.IndexFunc(r.Groups, func(g DeployGroup) bool { return g.Workflow == o.Workflow && g.Shape == o.Shape && g.Code == o.Code })
	if i < 0 {
		i = len(r.Groups)
		r.Groups = append(r.Groups, DeployGroup{Workflow: o.Workflow, Shape: o.Shape, Code: o.Code})
	}
	g := &r.Groups[i]
	g.Count++
	if len(g.Runs) < named {
		g.Runs = append(g.Runs, o)
	}
	for _, queue := range o.Queues {
		if !slices.Contains(g.Queues, queue) {
			g.Queues = append(g.Queues, queue)
		}
	}
	for _, l := range o.Lacks {
		if !slices.Contains(g.Lacks, l) {
			g.Lacks = append(g.Lacks, l)
		}
	}
}

func (r *DeployReport) sort() {
	slices.SortFunc(r.Groups, func(a, b DeployGroup) int {
		return cmp.Or(
			cmp.Compare(a.Workflow, b.Workflow),
			cmp.Compare(slices.Index(flow.ProspectCodes, b.Code), slices.Index(flow.ProspectCodes, a.Code)),
			cmp.Compare(a.Shape, b.Shape),
		)
	})
}

// Waiting counts the runs that may or will wait.
func (r *DeployReport) Waiting() int {
	return r.Counts[flow.ProspectMayWait] + r.Counts[flow.ProspectWillWait]
}

// ExitCode is the exit code of a program that does nothing but the check: 0 if every run can go on to its end, 1 if some may or
// will wait.
func (r *DeployReport) ExitCode() int { return min(r.Waiting(), 1) }

// Err returns nil if every run can go on to its end. Otherwise it wraps [ErrRunsWouldWait], and its text names the runs that may or
// will wait, and what for.
func (r *DeployReport) Err() error {
	if r.Waiting() == 0 {
		return nil
	}
	var b strings.Builder
	for _, g := range r.Groups {
		if g.Code.Waits() {
			b.WriteString("\n")
			g.write(&b)
		}
	}
	return fmt.Errorf("%w:%s", ErrRunsWouldWait, b.String())
}

// String returns a line with the counts and a line for each group. Below a group whose runs may or will wait it lists what they
// lack, and the runs.
func (r *DeployReport) String() string {
	var b strings.Builder
	total := 0
	var counts []string
	for _, code := range flow.ProspectCodes {
		total += r.Counts[code]
		counts = append(counts, fmt.Sprintf("%d %s", r.Counts[code], code))
	}
	fmt.Fprintf(&b, "%d unfinished runs: %s\n", total, strings.Join(counts, ", "))
	for _, g := range r.Groups {
		g.write(&b)
		b.WriteString("\n")
	}
	return b.String()
}

func (g DeployGroup) write(b *strings.Builder) {
	fmt.Fprintf(b, "%s %.12s: %d %s", g.Workflow, g.Shape, g.Count, g.Code)
	for _, queue := range g.Queues {
		fmt.Fprintf(b, "\n  deliveries stand in queue %s, which this program does not use: work it until it is empty", queue)
	}
	if !g.Code.Waits() {
		return
	}
	for _, l := range g.Lacks {
		fmt.Fprintf(b, "\n  %s", l)
	}
	for _, o := range g.Runs {
		fmt.Fprintf(b, "\n  run %s (%s)", o.Run, o.Status)
	}
	if more := g.Count - len(g.Runs); more > 0 {
		fmt.Fprintf(b, "\n  and %d more", more)
	}
}
