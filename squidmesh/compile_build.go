package squidmesh

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"
)

// build makes the spec of a workflow without problems.
func (c *compiler) build() *Spec {
	spec := &Spec{workflow: c.workflow.Name, description: c.workflow.Description, triggers: c.triggers}
	for i := range c.nodes {
		spec.steps = append(spec.steps, c.buildStep(i))
	}
	spec.shape = spec.hashShape()
	spec.link()
	return spec
}

func (c *compiler) buildStep(i int) StepSpec {
	n := c.nodes[i]
	st := StepSpec{
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
	case n.kind != KindChoose:
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
func (n node) policy() Policy {
	p := Policy{
		Retry: n.Retry, Timeout: n.Timeout, MaxLosses: n.MaxLosses, Queue: n.Queue, Priority: n.Priority,
		Wait: n.Do.wait, Level: n.Do.level, Message: n.Do.message,
	}
	switch n.kind {
	case KindFunc, KindFuncTx, KindChoose, KindLog:
		p.Timeout = cmp.Or(p.Timeout, DefaultTimeout)
	}
	if n.kind != KindBlock {
		p.Priority = cmp.Or(p.Priority, 1)
	}
	return p
}

// defaultUndoRetry is for undos of steps that are not retried themselves: what was done should not stay because of one lost
// connection.
var defaultUndoRetry = Exponential(5, time.Second, time.Minute)

// undoPolicy is the step's own, as far as nothing else is said.
func (n node) undoPolicy() Policy {
	p := n.policy()
	p.Retry = cmp.Or(n.UndoRetry, p.Retry, defaultUndoRetry)
	p.Timeout = cmp.Or(n.UndoTimeout, p.Timeout)
	p.MaxLosses = 0
	return p
}

// hashShape hashes what a run is pinned to: everything about the steps but their descriptions and policies, and the
// triggers' names and payload types.
func (s *Spec) hashShape() string {
	type trigger struct {
		Name    string `json:"name"`
		Payload Type   `json:"payload"`
	}
	shape := struct {
		Workflow string     `json:"workflow"`
		Triggers []trigger  `json:"triggers"`
		Steps    []StepSpec `json:"steps"`
	}{Workflow: s.workflow, Steps: slices.Clone(s.steps)}
	for _, t := range s.triggers {
		shape.Triggers = append(shape.Triggers, trigger{t.Name, t.Payload})
	}
	for i := range shape.Steps {
		st := &shape.Steps[i]
		st.Description, st.Policy, st.UndoPolicy = "", Policy{}, Policy{}
	}
	data, err := json.Marshal(shape) // which sorts the keys of maps
	if err != nil {
		panic("squidmesh: a shape is plain data, yet: " + err.Error())
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:16])
}
