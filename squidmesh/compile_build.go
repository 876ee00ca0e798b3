package squidmesh

import (
	"cmp"
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// build makes the spec of a workflow without problems.
func (c *compiler) build() *Spec {
	steps := make([]flow.StepSpec, len(c.nodes))
	for i := range c.nodes {
		steps[i] = c.buildStep(i)
	}
	return flow.NewSpec(c.workflow.Name, c.workflow.Description, c.triggers, steps)
}

func (c *compiler) buildStep(i int) flow.StepSpec {
	n := c.nodes[i]
	st := flow.StepSpec{
		Name:             n.Name,
		Description:      n.Description,
		Kind:             n.kind,
		Children:         c.namesOf(n.children),
		After:            n.After,
		OnError:          n.OnError,
		Recovery:         n.Recovery,
		Routes:           n.Routes,
		Keys:             n.reads.keys,
		Sources:          c.namesOf(n.reads.sources),
		Input:            n.in,
		Output:           n.Output,
		Result:           n.out,
		Irreversible:     n.Irreversible,
		NotCompensatable: n.NotCompensatable,
		Policy:           n.policy(),
	}
	switch {
	case n.block >= 0:
		st.Block = c.nodes[n.block].Name
	case n.kind != flow.KindChoose:
		st.Next = cmp.Or(n.Next, Complete)
	}
	if n.Undo.kind != "" {
		st.HasUndo = true
		st.UndoKind = n.Undo.kind
		st.UndoKeys = n.undoes.keys
		st.UndoSources = c.namesOf(n.undoes.sources)
		st.UndoInput = n.undoIn
		st.UndoPolicy = n.undoPolicy()
	}
	return st
}

func (c *compiler) namesOf(nodes []int) []string {
	var names []string
	for _, i := range nodes {
		names = append(names, c.nodes[i].Name)
	}
	return names
}

// policy fills in the defaults.
func (n node) policy() flow.Policy {
	p := flow.Policy{
		Retry: n.Retry, Timeout: n.Timeout, MaxLosses: n.MaxLosses, Queue: n.Queue, Priority: n.Priority,
		Wait: n.Do.wait, Level: n.Do.level, Message: n.Do.message,
	}
	switch n.kind {
	case flow.KindFunc, flow.KindFuncTx, flow.KindChoose, flow.KindLog:
		p.Timeout = cmp.Or(p.Timeout, DefaultTimeout)
	}
	if n.kind != flow.KindBlock {
		p.Priority = cmp.Or(p.Priority, 1)
	}
	return p
}

// defaultUndoRetry is for undos of steps that are not retried themselves: what was done should not stay because of one lost
// connection.
var defaultUndoRetry = Exponential(5, time.Second, time.Minute)

// undoPolicy is the step's own, as far as nothing else is said.
func (n node) undoPolicy() flow.Policy {
	p := n.policy()
	p.Retry = cmp.Or(n.UndoRetry, p.Retry, defaultUndoRetry)
	p.Timeout = cmp.Or(n.UndoTimeout, p.Timeout)
	p.MaxLosses = 0
	return p
}
