package squidmesh

import (
	"errors"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/squidmesh/squidmesh-go/internal/check"
	"github.com/squidmesh/squidmesh-go/internal/echo"
	"github.com/squidmesh/squidmesh-go/internal/text"
)

var (
	queueForm  = regexp.MustCompile(`^[a-z0-9]+([_-][a-z0-9]+)*$`)
	outputForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// validQueue reports whether River takes a queue of that name.
func validQueue(s string) bool {
	return len(s) <= 64 && queueForm.MatchString(s)
}

// validKey reports whether both databases can hold a key or route of that name.
func validKey(s string) bool {
	return s != "" && len(s) <= maxKeyName && utf8.ValidString(s) && !strings.ContainsFunc(s, text.Control)
}

// Name reports a name of the wrong form.
func (c *compiler) checkName(place, name string) {
	if !text.ValidName(name) {
		c.report("bad_name", place, "name %s is not [a-z][a-z0-9_]* with at most 63 characters", echo.Quote(name))
	}
}

func (c *compiler) checkWorkflow() {
	c.checkName("Name", c.workflow.Name)
	if len(c.workflow.Triggers) == 0 {
		c.report("no_trigger", "Triggers", "a workflow needs at least one trigger")
	}
	if len(c.workflow.Steps) == 0 {
		c.report("no_step", "Steps", "a workflow needs at least one step")
	}
	if n := len(c.workflow.Triggers); n > maxTriggers {
		c.report("too_many_triggers", "Triggers", "%d are more than %d", n, maxTriggers)
	}
	if n := len(flatten(c.workflow.Steps)); n > maxSteps {
		c.report("too_many_steps", "Steps", "%d with the children of blocks are more than %d: let a step start other runs", n, maxSteps)
	}
	c.checkDescription("Description", c.workflow.Description)
}

// oversized reports whether the workflow is too large to be looked at.
func (c *compiler) oversized() bool {
	return len(c.workflow.Triggers) > maxTriggers || len(flatten(c.workflow.Steps)) > maxSteps
}

func (c *compiler) checkDescription(place, text string) {
	if bad, ok := errors.AsType[*InputError](check.Text(place, text, maxDescription)); ok {
		c.report("bad_description", place, "%s", bad.Detail)
	}
}
