package squidmesh

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/check"
	"github.com/squidmesh/squidmesh-go/internal/echo"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/jsontype"
)

// maxTimeout leaves River, which gives our jobs 24 hours, the time to hear of a timeout.
const maxTimeout = 23 * time.Hour

// minDuration is the least that a duration of a definition or a configuration may be, besides zero. What is below was meant in another
// unit: a bare number is nanoseconds.
const minDuration = time.Millisecond

// tooShort says what is wrong with a duration below minDuration.
func tooShort(d time.Duration) string {
	return fmt.Sprintf("%s is below %s: a bare number is nanoseconds, so give it its unit, as in 30*time.Second", d, minDuration)
}

// maxDecisionTimeout is ten years: nothing runs while a decision is open.
const maxDecisionTimeout = 10 * 365 * 24 * time.Hour

// option is a field of a step that not all kinds of steps have.
type option struct {
	field string
	set   bool
}

func (n node) options() []option {
	return []option{
		{"After", len(n.After) > 0},
		{"Next", n.Next != ""},
		{"OnError", n.OnError != ""},
		{"Recovery", n.Recovery != ""},
		{"Routes", len(n.Routes) > 0},
		{"Input", len(n.Input) > 0},
		{"Output", n.Output != ""},
		{"Retry", n.Retry != Retry{}},
		{"Timeout", n.Timeout != 0},
		{"MaxLosses", n.MaxLosses != 0},
		{"Undo", n.Undo.kind != ""},
		{"UndoRetry", n.UndoRetry != Retry{}},
		{"UndoTimeout", n.UndoTimeout != 0},
		{"Irreversible", n.Irreversible},
		{"NotCompensatable", n.NotCompensatable},
		{"Queue", n.Queue != ""},
		{"Priority", n.Priority != 0},
	}
}

// takes are the options of each kind, besides those that come with a step's place: routes on the spine, After in a block.
var takes = map[flow.Kind][]string{
	flow.KindFunc: {
		"Input", "Output", "Retry", "Timeout", "MaxLosses", "Undo", "UndoRetry", "UndoTimeout", "Irreversible", "NotCompensatable",
		"Queue", "Priority",
	},
	flow.KindChoose:   {"Routes", "Input", "Retry", "Timeout", "MaxLosses", "Queue", "Priority"},
	flow.KindLog:      {"Retry", "Timeout", "Queue", "Priority"},
	flow.KindWait:     {"Queue", "Priority"},
	flow.KindPause:    {"Timeout"},
	flow.KindApproval: {"Output", "Timeout"},
	flow.KindBlock:    {},
}

// spineTakes are the options that come with a place on the spine.
func spineTakes(k flow.Kind) []string {
	switch k {
	case flow.KindChoose: // leads on by Routes
		return []string{"OnError", "Recovery"}
	default:
		return []string{"Next", "OnError", "Recovery"}
	}
}

// checkStep checks what can be told from the step alone.
func (c *compiler) checkStep(i int) {
	n := c.nodes[i]
	if n.graph {
		return
	}
	c.checkStepName(i)
	if !c.checkAction(i) {
		return
	}
	c.checkOptions(i)
	c.checkDecision(i)
	c.checkTypes(i)
	c.checkPolicy(i)
	c.checkUndo(i)
}

func (c *compiler) checkStepName(i int) {
	n := c.nodes[i]
	c.checkName(c.place(i), n.Name)
	c.checkDescription(c.place(i, "Description"), n.Description)
	if n.Name == Complete {
		c.report("reserved_name", c.place(i), "%q is the target that ends a run", Complete)
	}
	switch first := c.index[n.Name]; {
	case first == i:
	case c.nodes[first].graph:
		c.report("duplicate_name", c.place(i), "a workflow of After steps is itself a block named %q", graphBlock)
	default:
		c.report("duplicate_name", c.place(i), "two steps are named %s", echo.Quote(n.Name))
	}
}

// checkAction reports whether the step does anything that could be checked further.
func (c *compiler) checkAction(i int) bool {
	n := c.nodes[i]
	switch {
	case n.kind == "":
		c.report("no_action", c.place(i), "set Do, or Parallel")
		return false
	case n.kind == flow.KindBlock && n.Do.kind != "":
		c.report("two_actions", c.place(i), "set Do or Parallel, not both")
	case n.kind == flow.KindBlock && n.block >= 0:
		c.report("nested_block", c.place(i, "Parallel"), "a block stands on the spine, not within another one: order the children with After")
	case n.kind == flow.KindBlock && len(n.children) == 0:
		c.report("empty_block", c.place(i, "Parallel"), "a block needs at least one child")
	case n.Do.missing:
		c.report("nil_function", c.place(i, "Do"), "the function is nil")
	}
	return true
}

// checkOptions reports options that would be without effect.
func (c *compiler) checkOptions(i int) {
	n := c.nodes[i]
	kind := n.kind
	if kind == flow.KindFuncTx {
		kind = flow.KindFunc
	}
	taken := takes[kind]
	if n.block >= 0 {
		taken = append(slices.Clip(taken), "After")
	} else {
		taken = append(slices.Clip(taken), spineTakes(kind)...)
	}
	for _, o := range n.options() {
		if o.set && !slices.Contains(taken, o.field) {
			c.report("not_applicable", c.place(i, o.field), "%s", n.refusal(o.field))
		}
	}
}

// refusal says why a step does not take an option.
func (n node) refusal(field string) string {
	switch {
	case field == "After":
		return "After orders the children of a block, or all steps of a workflow without routes: lead to this step by another one's Next"
	case n.block >= 0 && slices.Contains([]string{"Next", "OnError", "Recovery", "Routes"}, field):
		return fmt.Sprintf("a child of a block has no %s: the block leads on", field)
	case field == "Routes":
		return "only a Choose function answers with a route"
	case n.kind == flow.KindChoose && field == "Next":
		return "a choice leads on by its Routes"
	case n.kind == flow.KindBlock:
		return fmt.Sprintf("a block has no %s: set it on its children", field)
	default:
		return fmt.Sprintf("a %s step has no %s", n.kind, field)
	}
}

// checkDecision checks choices, approvals, pauses and what else has a rule of its own.
func (c *compiler) checkDecision(i int) {
	n := c.nodes[i]
	switch n.kind {
	case flow.KindChoose:
		if len(n.Routes) == 0 && n.block < 0 {
			c.report("no_routes", c.place(i, "Routes"), "a choice needs a route for each of its answers")
		}
		if len(n.Routes) > maxRoutes {
			c.report("too_many_routes", c.place(i, "Routes"), "%d are more than %d", len(n.Routes), maxRoutes)
		}
		for _, route := range slices.Sorted(maps.Keys(n.Routes)) {
			if !validKey(route) {
				c.report("bad_route", c.place(i, "Routes"), "%s cannot be an answer: use 1 to %d bytes of printable text", echo.Quote(route), maxKeyName)
			}
		}
	case flow.KindApproval:
		if n.OnError == "" && n.block < 0 {
			c.report("no_error_route", c.place(i, "OnError"), "an approval needs a step, or complete, that follows a rejection")
		}
	case flow.KindPause:
		if n.OnError != "" && n.Timeout == 0 {
			c.report("no_deadline", c.place(i, "OnError"), "a pause fails only when its Timeout has passed, and it has none")
		}
	case flow.KindWait:
		if d := n.Do.wait; d > 0 && d < minDuration {
			c.report("bad_wait", c.place(i, "Do"), "a wait of %s", tooShort(d))
		} else if d <= 0 || d > flow.MaxWait {
			c.report("bad_wait", c.place(i, "Do"), "a wait of %s is not above zero and at most %s", n.Do.wait, flow.MaxWait)
		}
	case flow.KindLog:
		if n.Do.message == "" {
			c.report("bad_message", c.place(i, "Do"), "the message is empty")
		} else if bad, ok := errors.AsType[*InputError](check.Text("message", n.Do.message, maxLogMessage)); ok {
			c.report("bad_message", c.place(i, "Do"), "the message %s", bad.Detail)
		}
	}
	if n.block >= 0 && (n.kind == flow.KindChoose || n.kind == flow.KindApproval || n.kind == flow.KindPause) {
		c.report("decision_in_block", c.place(i, "Do"), "a child of a block takes no decisions: put the %s on the spine", n.kind)
	}
	if n.Recovery != flow.RecoveryNone {
		if n.OnError == "" {
			c.report("recovery_without_route", c.place(i, "Recovery"), "it marks what the OnError route is for, and there is none")
		}
		if n.Recovery != RecoveryUndo && n.Recovery != RecoveryCompensation {
			c.report("bad_recovery", c.place(i, "Recovery"), "%s is not %q or %q", echo.Quote(string(n.Recovery)), RecoveryUndo, RecoveryCompensation)
		}
	}
}

// checkTypes checks the step's input and result by themselves.
func (c *compiler) checkTypes(i int) {
	n := c.nodes[i]
	if n.in != nil {
		c.checkInputType(c.place(i, "Input"), n.in)
		if n.in.Opaque() && len(n.Input) == 0 {
			c.report("opaque_input", c.place(i, "Input"), "the input's type (%s) does not say what it reads: list the keys in Input", n.in)
		}
	}
	seen := map[string]bool{}
	for _, key := range n.Input {
		if !validKey(key) {
			c.report("bad_key", c.place(i, "Input"), "%s cannot be a key: use 1 to %d bytes of printable text", echo.Quote(key), maxKeyName)
		}
		if seen[key] {
			c.report("duplicate_key", c.place(i, "Input"), "key %s is listed twice", echo.Quote(key))
		}
		seen[key] = true
	}
	if n.Output != "" && (len(n.Output) > maxKeyName || !outputForm.MatchString(n.Output)) {
		c.report("bad_key", c.place(i, "Output"), "%s is not [A-Za-z_][A-Za-z0-9_]* with at most %d characters", echo.Quote(n.Output), maxKeyName)
	}
	switch {
	case n.out == nil:
		if n.Output != "" && (n.kind == flow.KindFunc || n.kind == flow.KindFuncTx) {
			c.report("no_result", c.place(i, "Output"), "the function returns no result that could be kept")
		}
	case c.checkFits(c.place(i, "Do"), "the result", n.out) || n.out.Kind != jsontype.None:
		if n.Output == "" && (n.out.Kind != jsontype.Object || n.out.Open) {
			c.report("output_needs_name", c.place(i, "Output"), "the result's type (%s) has no keys of its own: name it with Output", n.out)
		}
	}
}

func (c *compiler) checkInputType(place string, in *jsontype.Type) {
	if c.checkFits(place, "the input", in) && in.Kind != jsontype.Object && in.Kind != jsontype.Any {
		c.report("input_not_object", place, "a step reads keys of the run's data, so its input is a struct, not %s", in)
	}
}

// checkFits reports whether all parts of a type can be written or read.
func (c *compiler) checkFits(place, what string, t *jsontype.Type) bool {
	path, part := t.Unfit()
	if part == nil {
		return true
	}
	c.report(part.Problem(), place, "%s: %s", cmp.Or(path, what), part.Why())
	return false
}

func (c *compiler) checkPolicy(i int) {
	n := c.nodes[i]
	c.checkRetry(c.place(i, "Retry"), n.Retry)
	c.checkRetry(c.place(i, "UndoRetry"), n.UndoRetry)
	longest := maxTimeout
	if n.kind == flow.KindPause || n.kind == flow.KindApproval {
		longest = maxDecisionTimeout
	}
	c.checkTimeout(c.place(i, "Timeout"), n.Timeout, longest)
	c.checkTimeout(c.place(i, "UndoTimeout"), n.UndoTimeout, maxTimeout)
	if n.MaxLosses < 0 || n.MaxLosses > flow.DefaultMaxLosses {
		c.report("bad_losses", c.place(i, "MaxLosses"), "%d is not from 0 to %d", n.MaxLosses, flow.DefaultMaxLosses)
	}
	if n.Queue != "" && !validQueue(n.Queue) {
		c.report("bad_queue", c.place(i, "Queue"), "name %s is not [a-z0-9]+([_-][a-z0-9]+)* with at most 64 characters", echo.Quote(n.Queue))
	}
	if n.Priority < 0 || n.Priority > 4 {
		c.report("bad_priority", c.place(i, "Priority"), "%d is not from 1 to 4", n.Priority)
	}
}

func (c *compiler) checkRetry(place string, r Retry) {
	switch {
	case r.MaxAttempts < 0 || r.MaxAttempts > 1000:
		c.report("bad_retry", place, "MaxAttempts %d is not from 0 to 1000", r.MaxAttempts)
	case r.MaxAttempts == 0 && r != Retry{}:
		c.report("bad_retry", place, "without MaxAttempts there is one attempt, and nothing to delay")
	}
	if r.Base > 0 && r.Base < minDuration {
		c.report("bad_retry", place, "Base %s", tooShort(r.Base))
		return // what is said of one holds for the others
	}
	if r.Max > 0 && r.Max < minDuration {
		c.report("bad_retry", place, "Max %s", tooShort(r.Max))
		return
	}
	if r.Base < 0 || r.Base > flow.MaxWait {
		c.report("bad_retry", place, "Base %s is not from 0 to %s", r.Base, flow.MaxWait)
	}
	if r.Max < 0 || r.Max > flow.MaxWait {
		c.report("bad_retry", place, "Max %s is not from 0 to %s", r.Max, flow.MaxWait)
	} else if r.Max > 0 && r.Max < r.Base {
		c.report("bad_retry", place, "Max %s is below Base %s", r.Max, r.Base)
	}
	if math.IsNaN(r.Jitter) || r.Jitter < 0 || r.Jitter > 1 {
		c.report("bad_retry", place, "Jitter %v is not from 0 to 1", r.Jitter)
	}
}

func (c *compiler) checkTimeout(place string, d, longest time.Duration) {
	if d > 0 && d < minDuration {
		c.report("bad_timeout", place, "%s", tooShort(d))
	} else if d < 0 || d > longest {
		c.report("bad_timeout", place, "%s is not from 0 to %s", d, longest)
	}
}

func (c *compiler) checkUndo(i int) {
	n := c.nodes[i]
	if n.Irreversible && n.NotCompensatable {
		c.report("excluding_marks", c.place(i, "NotCompensatable"), "it excludes Irreversible, which says more")
	}
	if n.Undo.kind == "" {
		if n.UndoRetry != (Retry{}) || n.UndoTimeout != 0 {
			c.report("no_undo", c.place(i, "Undo"), "UndoRetry and UndoTimeout need an Undo")
		}
		return
	}
	if n.Irreversible || n.NotCompensatable {
		c.report("excluding_marks", c.place(i, "Undo"), "a step that cannot be taken back has no Undo")
	}
	switch {
	case n.Undo.kind != flow.KindFunc && n.Undo.kind != flow.KindFuncTx:
		c.report("bad_undo", c.place(i, "Undo"), "it is a %s; an undo is made by Func, FuncTx, Effect or EffectTx", n.Undo.kind)
	case n.Undo.missing:
		c.report("nil_function", c.place(i, "Undo"), "the function is nil")
	default:
		c.checkInputType(c.place(i, "Undo"), n.undoIn)
	}
}
