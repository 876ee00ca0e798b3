package squidmesh

// compiler gathers the spec of a workflow and every problem with it.
type compiler struct {
	workflow Workflow
	problems []Problem
}

func (c *compiler) compile() *Spec {
	return nil
}
