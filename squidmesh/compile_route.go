package squidmesh

import (
	"maps"
	"slices"
	"strings"

	"github.com/squidmesh/squidmesh-go/internal/echo"
	"github.com/squidmesh/squidmesh-go/internal/nearest"
	"github.com/squidmesh/squidmesh-go/internal/text"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// edge leads from a step to another one, or in a block from a step to one that it waits for.
type edge struct {
	to      int
	field   string // that names the target
	failure bool   // it is an OnError
	guessed bool   // the name was wrong, and this is what was probably meant
}

// linkRoutes resolves what Next, OnError and Routes name. It leaves no cycles.
func (c *compiler) linkRoutes() {
	if len(c.nodes) == 0 {
		return
	}
	for i := range c.nodes {
		n := &c.nodes[i]
		if n.block >= 0 {
			continue
		}
		if n.Next != "" && n.kind != flow.KindChoose {
			c.linkRoute(i, edge{field: "Next"}, n.Next)
		}
		for _, route := range slices.Sorted(maps.Keys(n.Routes)) {
			if n.kind == flow.KindChoose {
				c.linkRoute(i, edge{field: "Routes"}, n.Routes[route])
			}
		}
		if n.OnError != "" {
			c.linkRoute(i, edge{field: "OnError", failure: true}, n.OnError)
		}
	}
	c.cutCycles(c.spineNodes(), func(n *node) *[]edge { return &n.leads })
	c.checkReachable()
}

func (c *compiler) linkRoute(i int, e edge, target string) {
	place := c.place(i, e.field)
	to, ok := c.index[target]
	switch {
	case target == Complete:
		return
	case target == "":
		c.report("unknown_target", place, "the target is empty: name a step, or complete")
		return
	case !ok:
		meant := append(c.names(func(j int) bool { return c.nodes[j].block < 0 && j != i }), Complete)
		c.report("unknown_target", place, "there is no step %s%s", echo.Quote(target), nearest.Hint(target, meant))
		best, found := nearest.Name(target, meant)
		c.broken = c.broken || !found
		if !found || best == Complete {
			return
		}
		to, e.guessed = c.index[best], true
	case c.nodes[to].block >= 0:
		block := c.nodes[to].block
		c.report("target_in_block", place, "step %s is a child of block %s: lead to the block", echo.Quote(target), echo.Quote(c.nodes[block].Name))
		to, e.guessed = block, true
	}
	if to == i {
		if !e.guessed {
			c.report("leads_to_itself", place, "a run visits each step at most once")
		}
		return
	}
	e.to = to
	c.nodes[i].leads = append(c.nodes[i].leads, e)
}

// linkAfter resolves what After names. It leaves no cycles.
func (c *compiler) linkAfter() {
	for _, n := range c.nodes {
		if n.kind != flow.KindBlock {
			continue
		}
		siblings := map[string]int{}
		for _, i := range n.children {
			if _, taken := siblings[c.nodes[i].Name]; !taken {
				siblings[c.nodes[i].Name] = i
			}
		}
		for _, i := range n.children {
			for k, name := range c.nodes[i].After {
				c.linkSibling(siblings, i, k, name)
			}
		}
		c.cutCycles(n.children, func(n *node) *[]edge { return &n.waits })
	}
}

func (c *compiler) linkSibling(siblings map[string]int, i, k int, name string) {
	place := c.place(i, "After")
	to, found := siblings[name]
	_, exists := c.index[name]
	switch {
	case to == i && found:
		c.report("leads_to_itself", place, "a step cannot wait for itself")
		return
	case slices.Contains(c.nodes[i].After[:k], name):
		c.report("duplicate_name", place, "step %s is named twice", echo.Quote(name))
		return
	case !found && exists:
		c.report("not_a_sibling", place, "step %s is not in block %s", echo.Quote(name), echo.Quote(c.nodes[c.nodes[i].block].Name))
		c.broken = true
		return
	}
	e := edge{to: to, field: "After"}
	if !found {
		others := slices.DeleteFunc(slices.Sorted(maps.Keys(siblings)), func(s string) bool { return s == c.nodes[i].Name })
		c.report("unknown_target", place, "there is no step %s%s", echo.Quote(name), nearest.Hint(name, others))
		best, near := nearest.Name(name, others)
		if !near {
			c.broken = true
			return
		}
		e.to, e.guessed = siblings[best], true
	}
	c.nodes[i].waits = append(c.nodes[i].waits, e)
}

// cutCycles reports the cycles among the nodes and takes out the edge that closes each of them.
func (c *compiler) cutCycles(nodes []int, edges func(*node) *[]edge) {
	done := make(map[int]bool, len(nodes))
	var path []int
	var visit func(i int)
	visit = func(i int) {
		path = append(path, i)
		kept := (*edges(&c.nodes[i]))[:0]
		for _, e := range *edges(&c.nodes[i]) {
			if at := slices.Index(path, e.to); at >= 0 {
				c.reportCycle(i, e, path[at:])
				continue
			}
			if !done[e.to] {
				visit(e.to)
			}
			kept = append(kept, e)
		}
		*edges(&c.nodes[i]) = kept
		path = path[:len(path)-1]
		done[i] = true
	}
	for _, i := range nodes {
		if !done[i] {
			visit(i)
		}
	}
}

func (c *compiler) reportCycle(i int, closing edge, path []int) {
	c.broken = true
	if closing.guessed {
		return
	}
	names := append(c.namesOf(path), c.nodes[closing.to].Name)
	for k, name := range names {
		if !text.ValidName(name) {
			names[k] = echo.Quote(name)
		}
	}
	if closing.field == "After" {
		c.report("cycle", c.place(i, closing.field), "the steps wait for one another: %s", strings.Join(names, " -> "))
		return
	}
	c.report("cycle", c.place(i, closing.field), "a run visits each step at most once: %s; start a new run instead",
		strings.Join(names, " -> "))
}

// checkReachable reports the steps that nothing leads to.
func (c *compiler) checkReachable() {
	if c.broken {
		return // the missing link may be the one that leads there
	}
	reached := map[int]bool{}
	for _, i := range c.spine() {
		reached[i] = true
	}
	for _, i := range c.spineNodes() {
		if !reached[i] && c.index[c.nodes[i].Name] == i {
			c.report("unreachable", c.place(i), "nothing leads here from step %s, the first one: name it in Next, OnError or Routes",
				echo.Quote(c.nodes[0].Name))
		}
	}
}

func (c *compiler) spineNodes() []int {
	var nodes []int
	for i, n := range c.nodes {
		if n.block < 0 {
			nodes = append(nodes, i)
		}
	}
	return nodes
}
