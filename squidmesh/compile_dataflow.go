package squidmesh

import (
	"cmp"
	"maps"
	"slices"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/jsontype"
)

// The data-flow proof follows the run's data along every path through the workflow. Before each step it knows which keys
// may exist and which are certain, and who may have written them.
//
//   - A payload key is certain if every trigger requires it or has a default for it.
//   - Where routes meet, a key is certain if it is on each of them, and has the writers of all.
//   - In a block, a child sees what the block saw, and what the children before it by After wrote. When the block has
//     completed, everything that its children wrote is there.
//   - An OnError target sees what the failed step saw.

// A writer of keys is a step, by its index, or a trigger's payload, as -1 - index.
type writer = int

func triggerWriter(trigger int) writer { return -1 - trigger }

// fact is what is known about a key at some point of the workflow.
type fact struct {
	certain bool
	writers []writer // ascending, without duplicates
}

// facts are the keys that may exist at some point. They are shared between points, and so never changed once they are known.
type facts map[string]fact

// meet joins two paths to the same point. Nil is no path.
func (f facts) meet(g facts) facts {
	if f == nil {
		return g
	}
	if g == nil {
		return f
	}
	both := make(facts, max(len(f), len(g)))
	for key, a := range f {
		b, ok := g[key]
		both[key] = fact{certain: ok && a.certain && b.certain, writers: union(a.writers, b.writers)}
	}
	for key, b := range g {
		if _, ok := f[key]; !ok {
			both[key] = fact{writers: b.writers}
		}
	}
	return both
}

// with adds what steps have written that completed for certain.
func (f facts) with(c *compiler, steps ...int) facts {
	sum := maps.Clone(f)
	for _, i := range steps {
		for _, field := range c.nodes[i].written() {
			sum[field.Name] = fact{certain: field.Required, writers: []writer{i}}
		}
	}
	return sum
}

// written are the keys that the step's result adds to the run's data.
func (n node) written() []jsontype.Field { return flow.WrittenFields(n.Output, n.out) }

// writes finds the key that a writer writes.
func (c *compiler) writes(w writer, key string) (jsontype.Field, bool) {
	if w < 0 {
		trigger := c.triggers[-1-w]
		f, ok := trigger.Payload.Field(key)
		if _, defaulted := trigger.Defaults[key]; defaulted {
			f.Required = true
		}
		return f, ok
	}
	for _, f := range c.nodes[w].written() {
		if f.Name == key {
			return f, true
		}
	}
	return jsontype.Field{}, false
}

// started is what a run has when it starts.
func (c *compiler) started() facts {
	var start facts
	for i, t := range c.triggers {
		payload := facts{}
		for _, field := range t.Payload.Fields {
			f, _ := c.writes(triggerWriter(i), field.Name)
			payload[field.Name] = fact{certain: f.Required, writers: []writer{triggerWriter(i)}}
		}
		start = start.meet(payload)
	}
	if start == nil {
		start = facts{}
	}
	return start
}

// proveFlow walks the spine in an order in which every step comes behind all that lead to it.
func (c *compiler) proveFlow() {
	if len(c.nodes) == 0 {
		return
	}
	before := make([]facts, len(c.nodes))
	before[0] = c.started()
	for _, i := range c.spine() {
		at := before[i]
		c.reach(i)
		c.checkReads(i, at)
		c.checkWrites(i, at)
		after := at.with(c, i)
		if c.nodes[i].kind == flow.KindBlock {
			after = c.proveBlock(i, at)
		}
		for _, e := range c.nodes[i].leads {
			if e.failure {
				before[e.to] = before[e.to].meet(at)
			} else {
				before[e.to] = before[e.to].meet(after)
			}
		}
	}
	c.proveUnreached()
}

// proveUnreached looks at the steps that a wrong link cut off. What runs before them is unknown, but what no step writes is
// missing all the same.
func (c *compiler) proveUnreached() {
	for i, n := range c.nodes {
		if c.broken && n.rank == 0 {
			c.checkReads(i, facts{})
		}
	}
}

// proveBlock proves the children of a block and returns what is there once all of them have completed.
func (c *compiler) proveBlock(block int, at facts) facts {
	c.checkSiblings(block)
	ancestors := map[int][]bool{}
	for _, i := range c.ordered(block) {
		before := make([]bool, len(c.nodes))
		for _, e := range c.nodes[i].waits {
			before[e.to] = true
			for j, is := range ancestors[e.to] {
				before[j] = before[j] || is
			}
		}
		ancestors[i] = before
		c.reach(i)
		c.checkReads(i, at.with(c, indexes(before)...))
		c.checkWrites(i, at)
	}
	return at.with(c, c.nodes[block].children...)
}

// spine lists the reached top-level steps so that each comes behind all that lead to it.
func (c *compiler) spine() []int {
	var order []int
	seen := make([]bool, len(c.nodes))
	var visit func(i int)
	visit = func(i int) {
		if seen[i] {
			return
		}
		seen[i] = true
		for _, e := range c.nodes[i].leads {
			visit(e.to)
		}
		order = append(order, i)
	}
	visit(0)
	slices.Reverse(order)
	return order
}

// ordered lists the children of a block so that each comes behind those in its After.
func (c *compiler) ordered(block int) []int {
	var order []int
	seen := make([]bool, len(c.nodes))
	var visit func(i int)
	visit = func(i int) {
		if seen[i] {
			return
		}
		seen[i] = true
		for _, e := range c.nodes[i].waits {
			visit(e.to)
		}
		order = append(order, i)
	}
	for _, i := range c.nodes[block].children {
		visit(i)
	}
	return order
}

// reach numbers the steps in the order of the walk.
func (c *compiler) reach(i int) {
	c.reached++
	c.nodes[i].rank = c.reached
}

// read works out the sources of the keys: all steps that may have written one of them before, in an order in which they
// may have run. So where a block's child and the step that stands in for the failed block write the same key, the latter
// comes last and its value counts.
func (c *compiler) read(keys []string, at facts) reading {
	slices.Sort(keys)
	r := reading{keys: slices.Compact(keys)}
	for _, key := range r.keys {
		for _, w := range at[key].writers {
			if w >= 0 {
				r.sources = append(r.sources, w)
			}
		}
	}
	slices.SortFunc(r.sources, func(a, b int) int { return c.nodes[a].rank - c.nodes[b].rank })
	r.sources = slices.Compact(r.sources)
	return r
}

// indexes lists where the set is true.
func indexes(set []bool) []int {
	var list []int
	for i, in := range set {
		if in {
			list = append(list, i)
		}
	}
	return list
}

func union(a, b []writer) []writer {
	if slices.Equal(a, b) {
		return a
	}
	all := slices.Concat(a, b)
	slices.SortFunc(all, cmp.Compare[writer])
	return slices.Compact(all)
}
