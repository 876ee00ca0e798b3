package squidmesh

import (
	"fmt"
	"strings"

	"github.com/squidmesh/squidmesh-go/internal/echo"
)

// DefinitionError lists everything that is wrong with a workflow.
type DefinitionError struct {
	Workflow string
	Problems []Problem
}

func (e *DefinitionError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = fmt.Sprintf("workflow %s: %s", echo.Quote(e.Workflow), p)
	}
	return strings.Join(lines, "\n")
}

func (*DefinitionError) ErrorCode() string { return "invalid_definition" }

// Problem is one thing that is wrong with a workflow.
type Problem struct {
	Code   string // stable
	Place  string // such as `step "charge": Next`
	Detail string // what is wrong and, if something is close, what was probably meant
}

func (p Problem) String() string {
	if p.Place == "" {
		return p.Detail
	}
	return p.Place + ": " + p.Detail
}
