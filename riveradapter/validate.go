package riveradapter

import (
	"fmt"
	"regexp"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// What River accepts, since it says so only when a job is inserted.
var (
	queueForm = regexp.MustCompile(`^[a-z0-9]+(?:[_|-]?[a-z0-9]+)*$`)
	tagForm   = regexp.MustCompile(`^\w[\w-]+\w$`)
)

const (
	maxQueue    = 64
	maxTag      = 255
	maxPriority = 4
)

// ValidateSpec implements [driver.Validator]. It returns names that River refuses as tags, and queues and priorities that River
// does not have. It does not know whether a client works a queue; that is often another process's business.
func (e *Executor[TTx]) ValidateSpec(spec *flow.Spec) []string {
	var problems []string
	if t := tag("workflow", spec.Workflow()); !validTag(t) {
		problems = append(problems, fmt.Sprintf("River refuses the tag %q: use letters, digits and _ in the workflow's name", t))
	}
	for _, trigger := range spec.Triggers() {
		if t := tag("trigger", trigger.Name); !validTag(t) {
			problems = append(problems, fmt.Sprintf("trigger %q: River refuses the tag %q: use letters, digits and _", trigger.Name, t))
		}
	}
	for _, step := range spec.Steps() {
		if t := tag("step", step.Name); !validTag(t) {
			problems = append(problems, fmt.Sprintf("step %q: River refuses the tag %q: use letters, digits and _", step.Name, t))
		}
		problems = append(problems, validatePolicy(step.Name, step.Policy)...)
		if step.HasUndo {
			problems = append(problems, validatePolicy(step.Name+"'s undo", step.UndoPolicy)...)
		}
	}
	return problems
}

func validatePolicy(step string, policy flow.Policy) []string {
	var problems []string
	if q := policy.Queue; q != "" && (len(q) > maxQueue || !queueForm.MatchString(q)) {
		problems = append(problems, fmt.Sprintf("step %q: River refuses the queue %q: use runs of a-z and 0-9 joined by single _ or -, at most %d characters", step, q, maxQueue))
	}
	if policy.Priority < 0 || policy.Priority > maxPriority {
		problems = append(problems, fmt.Sprintf("step %q: River has priorities 1 to %d, not %d", step, maxPriority, policy.Priority))
	}
	return problems
}

func validTag(t string) bool { return len(t) <= maxTag && tagForm.MatchString(t) }
