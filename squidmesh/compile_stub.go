package squidmesh

import "slices"

func (c *compiler) checkWorkflow() {}

func (c *compiler) checkTriggers() {
	for _, t := range c.workflow.Triggers {
		spec := TriggerSpec{Name: t.Name, Cron: t.Cron, TimeZone: t.TimeZone, Payload: Type{Kind: kindObject}}
		if t.Payload.typ != nil {
			spec.Payload = typeOf(t.Payload.typ)
		}
		if len(t.Payload.defaults) > 0 {
			spec.Defaults = t.Payload.defaults
		}
		c.triggers = append(c.triggers, spec)
	}
}

func (c *compiler) checkStep(i int) {}

func (c *compiler) linkRoutes() {
	for i := range c.nodes {
		n := &c.nodes[i]
		link := func(name string, to *[]int) {
			if t, ok := c.index[name]; ok {
				*to = append(*to, t)
			}
		}
		link(n.Next, &n.success)
		link(n.OnError, &n.failure)
		for _, t := range n.Routes {
			link(t, &n.success)
		}
		slices.Sort(n.success)
		n.success = slices.Compact(n.success)
	}
}

func (c *compiler) linkAfter() {
	for i := range c.nodes {
		for _, dep := range c.nodes[i].After {
			if t, ok := c.index[dep]; ok {
				c.nodes[i].after = append(c.nodes[i].after, t)
			}
		}
	}
}

func (c *compiler) checkSiblings(block int) {}

func (c *compiler) checkReads(i int, at facts) {
	n := &c.nodes[i]
	if n.in != nil {
		n.reads = c.read(readKeys(n.in, n.Input), at)
	}
	if n.undoIn != nil {
		own := at.with(c, i)
		keys := readKeys(n.undoIn, nil)
		n.undoes = c.read(keys, own)
	}
}

func readKeys(in *Type, chosen []string) []string {
	keys := slices.Clone(chosen)
	if len(keys) == 0 {
		for _, f := range in.Fields {
			keys = append(keys, f.Name)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}
