package squidmesh

import (
	"fmt"
	"slices"
	"strings"

	"github.com/squidmesh/squidmesh-go/internal/echo"
	"github.com/squidmesh/squidmesh-go/internal/nearest"
	"github.com/squidmesh/squidmesh-go/squidmesh/jsontype"
)

// checkReads proves what the step and its undo read, given what is there before the step.
func (c *compiler) checkReads(i int, at facts) {
	n := &c.nodes[i]
	if n.in != nil {
		fields := c.readFields(i)
		for _, f := range fields {
			c.checkKey(c.place(i, "Input"), f, at)
		}
		n.reads = c.read(fieldNames(fields), at)
	}
	if n.undoIn != nil {
		after := at.with(c, i)
		fields := n.undoIn.Fields
		if n.undoIn.Opaque() { // it gets what the step read, and what the step wrote
			fields = nil
			for _, key := range slices.Concat(n.reads.keys, fieldNames(n.written())) {
				fields = append(fields, jsontype.Field{Name: key, Type: n.undoIn.ValueType()})
			}
		}
		for _, f := range fields {
			c.checkKey(c.place(i, "Undo"), f, after)
		}
		n.undoes = c.read(fieldNames(fields), after)
	}
}

// readFields are the keys that the step's input reads, with the types that it reads them as.
func (c *compiler) readFields(i int) []jsontype.Field {
	n := c.nodes[i]
	if len(n.Input) == 0 {
		return n.in.Fields
	}
	var fields []jsontype.Field
	for _, key := range n.Input {
		f, ok := n.in.Field(key)
		switch {
		case n.in.Opaque():
			fields = append(fields, jsontype.Field{Name: key, Type: n.in.ValueType()})
		case !ok:
			c.report("unknown_field", c.place(i, "Input"), "the input has no field %s%s", echo.Quote(key), nearest.Hint(key, n.in.Names()))
		default:
			fields = append(fields, f)
		}
	}
	for _, f := range n.in.Fields {
		if f.Required && !slices.Contains(n.Input, f.Name) {
			c.report("unlisted_field", c.place(i, "Input"), "the input requires key %s, which Input does not list", echo.Quote(f.Name))
		}
	}
	return fields
}

// checkKey proves that a key is there, where it must be, and reads as what was written.
func (c *compiler) checkKey(place string, f jsontype.Field, at facts) {
	known, ok := at[f.Name]
	if !ok {
		c.reportMissing(place, f)
		return
	}
	if f.Required && !known.certain {
		c.report("uncertain_key", place, "reads key %s, which may be missing here: %s", echo.Quote(f.Name), c.whyUncertain(f.Name, known))
		f.Required = false // that it may be null besides is the same mistake
	}
	for _, w := range known.writers {
		written, _ := c.writes(w, f.Name)
		written.Required = true // whether it is there has been asked
		if s := jsontype.DisagreeingField("", written, true, f); s != "" {
			c.report("type_mismatch", place, "reads key %s, but %s writes it differently: %s", echo.Quote(f.Name), c.writerName(w), s)
		}
	}
}

func (c *compiler) reportMissing(place string, f jsontype.Field) {
	var others, written []string
	for _, w := range c.allWriters() {
		if _, ok := c.writes(w, f.Name); ok {
			others = append(others, c.writerName(w))
		}
		written = append(written, c.keysOf(w)...)
	}
	switch {
	case len(others) > 0 && c.broken:
		// It might be there if the routes were right.
	case len(others) > 0:
		c.report("missing_key", place, "reads key %s, which no step before it writes; %s does, but not on a path to here",
			echo.Quote(f.Name), strings.Join(others, ", "))
	case f.Required:
		c.report("missing_key", place, "reads key %s, which nothing writes%s", echo.Quote(f.Name), nearest.Hint(f.Name, written))
	default:
		c.report("never_written", place, "may read key %s, but nothing writes it%s", echo.Quote(f.Name), nearest.Hint(f.Name, written))
	}
}

// whyUncertain says who may leave the key out.
func (c *compiler) whyUncertain(key string, known fact) string {
	var reasons []string
	for _, w := range known.writers {
		f, _ := c.writes(w, key)
		switch {
		case f.Required && w >= 0:
			reasons = append(reasons, fmt.Sprintf("not every path comes through %s", c.writerName(w)))
		case f.Required:
			reasons = append(reasons, "not every trigger has it")
		case w >= 0 && c.nodes[w].out.Nullable:
			reasons = append(reasons, fmt.Sprintf("%s returns a pointer, which may be nil", c.writerName(w)))
		default:
			reasons = append(reasons, fmt.Sprintf("it is optional in %s", c.writerName(w)))
		}
	}
	return strings.Join(slices.Compact(reasons), ", ")
}

// checkWrites reports keys of the step's result that exist already.
func (c *compiler) checkWrites(i int, at facts) {
	for _, f := range c.nodes[i].written() {
		if known, ok := at[f.Name]; ok {
			c.reportTaken(i, f.Name, known.writers[0])
		}
	}
}

// checkSiblings reports keys that several children of a block write: all of them meet when the block has completed.
func (c *compiler) checkSiblings(block int) {
	first := map[string]int{}
	for _, i := range c.nodes[block].children {
		for _, f := range c.nodes[i].written() {
			if other, taken := first[f.Name]; taken {
				c.reportTaken(i, f.Name, other)
			} else {
				first[f.Name] = i
			}
		}
	}
}

func (c *compiler) reportTaken(i int, key string, w writer) {
	if c.nodes[i].Output != "" {
		c.report("key_taken", c.place(i, "Output"), "key %s is written by %s: choose another one", echo.Quote(key), c.writerName(w))
		return
	}
	c.report("key_taken", c.place(i, "Output"), "the result has key %s, which is written by %s: keep the result under a name with Output",
		echo.Quote(key), c.writerName(w))
}

func (c *compiler) writerName(w writer) string {
	if w < 0 {
		return "the payload of trigger " + echo.Quote(c.triggers[-1-w].Name)
	}
	return "step " + echo.Quote(c.nodes[w].Name)
}

func (c *compiler) keysOf(w writer) []string {
	if w < 0 {
		return c.triggers[-1-w].Payload.Names()
	}
	return fieldNames(c.nodes[w].written())
}

func (c *compiler) allWriters() []writer {
	var all []writer
	for i := range c.triggers {
		all = append(all, triggerWriter(i))
	}
	for i := range c.nodes {
		all = append(all, i)
	}
	return all
}

func fieldNames(fields []jsontype.Field) []string {
	var names []string
	for _, f := range fields {
		names = append(names, f.Name)
	}
	return names
}
