package squidmesh

import (
	"fmt"
	"slices"

	"github.com/squidmesh/squidmesh-go/internal/echo"
	"github.com/squidmesh/squidmesh-go/internal/text"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/jsontype"
)

// The limits of a definition. A run holds one row per step, and every commit works on the definition as a whole.
const (
	maxSteps       = 1000
	maxTriggers    = 100
	maxRoutes      = 100
	maxKeyName     = 100
	maxDescription = 4 << 10
	maxLogMessage  = 4 << 10
	maxProblem     = 4 << 10 // of what is said about one
)

// graphBlock is the name of the block that stands for a workflow whose steps only use After.
const graphBlock = "graph"

// Compile checks a workflow and makes its Spec. The error is a [*DefinitionError] with every problem.
func Compile(w Workflow) (*Spec, error) {
	c := &compiler{workflow: w}
	spec := c.compile()
	if len(c.problems) > 0 {
		return nil, &DefinitionError{Workflow: w.Name, Problems: c.problems}
	}
	return spec, nil
}

// compiler gathers the spec of a workflow and every problem with it. Rules that depend on others (a step behind an unknown
// target is unreachable) report nothing that a reported problem already implies.
type compiler struct {
	workflow Workflow
	nodes    []node         // all steps, children behind their block
	index    map[string]int // of nodes by name; the first one of a name has it
	triggers []flow.TriggerSpec
	problems []Problem
	reached  int // steps that the walk has met

	// broken says that some route or dependency leads nowhere, so that what runs before a step is not fully known.
	broken bool
}

// node is a step while it is compiled. Steps are named by their index in compiler.nodes.
type node struct {
	Step
	kind     flow.Kind
	graph    bool   // the implicit block of a workflow of After steps
	block    int    // the block that it is a child of; -1 for none
	children []int  // of a block
	leads    []edge // on the spine: where Next, Routes and OnError lead
	waits    []edge // in a block: what After names

	in, out, undoIn *jsontype.Type // nil for none
	rank            int            // in the order of the walk; zero for steps that nothing leads to
	reads, undoes   reading
}

// reading is what a step or its undo takes from the run's data.
type reading struct {
	keys    []string
	sources []int
}

func (c *compiler) compile() *Spec {
	c.checkWorkflow()
	if len(c.problems) > 0 && c.oversized() {
		return nil // all else would only take long
	}
	c.checkTriggers()
	c.flatten()
	for i := range c.nodes {
		c.checkStep(i)
	}
	c.linkRoutes()
	c.linkAfter()
	c.proveFlow()
	if len(c.problems) > 0 {
		return nil
	}
	return c.build()
}

// report adds a problem. Its text may name a cycle through many steps, but not without end.
func (c *compiler) report(code, place, format string, args ...any) {
	c.problems = append(c.problems, Problem{Code: code, Place: place, Detail: text.Clean(fmt.Sprintf(format, args...), maxProblem)})
}

// flatten lists the steps, children behind their block.
func (c *compiler) flatten() {
	steps := c.workflow.Steps
	if isGraph(steps) {
		steps = []Step{{Name: graphBlock, Parallel: steps}}
	}
	for _, st := range steps {
		block := len(c.nodes)
		c.nodes = append(c.nodes, newNode(st, -1))
		c.nodes[block].graph = len(steps) == 1 && isGraph(c.workflow.Steps)
		for _, child := range st.Parallel {
			c.nodes[block].children = append(c.nodes[block].children, len(c.nodes))
			c.nodes = append(c.nodes, newNode(child, block))
		}
	}
	c.index = make(map[string]int, len(c.nodes))
	for i, n := range c.nodes {
		if _, taken := c.index[n.Name]; !taken {
			c.index[n.Name] = i
		}
	}
}

// isGraph reports whether the steps are one block as a whole: some of them use After and none has a route or is a block.
func isGraph(steps []Step) bool {
	after := func(st Step) bool { return len(st.After) > 0 }
	routed := func(st Step) bool {
		return st.Next != "" || st.OnError != "" || len(st.Routes) > 0 || st.Parallel != nil
	}
	return slices.ContainsFunc(steps, after) && !slices.ContainsFunc(steps, routed)
}

func newNode(st Step, block int) node {
	n := node{Step: st, kind: st.Do.kind, block: block}
	if st.Parallel != nil {
		n.kind = flow.KindBlock
	}
	if st.Do.in != nil {
		in := jsontype.AsRead(st.Do.in)
		n.in = &in
	}
	if st.Do.out != nil {
		out := jsontype.AsWritten(st.Do.out)
		n.out = &out
	}
	if st.Undo.in != nil {
		in := jsontype.AsRead(st.Undo.in)
		n.undoIn = &in
	}
	return n
}

// place names a step, or one of its fields.
func (c *compiler) place(i int, field ...string) string {
	p := "step " + echo.Quote(c.nodes[i].Name)
	if c.nodes[i].Name == "" {
		p = fmt.Sprintf("step number %d", i+1)
	}
	for _, f := range field {
		p += ": " + f
	}
	return p
}

// names are the steps' names, for those that keep is true of.
func (c *compiler) names(keep func(i int) bool) []string {
	var names []string
	for i, n := range c.nodes {
		if keep(i) {
			names = append(names, n.Name)
		}
	}
	return names
}
