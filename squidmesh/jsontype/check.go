package jsontype

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/echo"
	"github.com/squidmesh/squidmesh-go/internal/text"
)

// Check lists where a value is not of the type: unknown and missing fields, nulls, wrong kinds and formats.
func (t Type) Check(v Value) []FieldProblem {
	c := checker{}
	c.value(&t, v)
	return c.problems
}

// checker looks until its list is full.
type checker struct{ problemList }

func (c *checker) value(t *Type, v Value) {
	switch kind := v.TypeKind(); {
	case c.full():
	case t.Kind == Any:
		c.open(v)
	case v.Kind() == 'n':
		if !t.Nullable {
			c.report("null", "null is not "+t.String())
		}
	case kind != t.Kind && !(t.Kind == Integer && kind == Number):
		c.report("wrong_type", fmt.Sprintf("it is %s, want %s", kind, t))
	case kind == Object:
		c.object(t, v)
	case kind == Array:
		c.array(t, v)
	case kind == String:
		c.text(t, v.text())
	case kind == Number:
		c.number(t, v.raw())
	}
}

// TypeKind returns the kind of type that the value has.
func (v Value) TypeKind() string {
	switch v.Kind() {
	case '{':
		return Object
	case '[':
		return Array
	case '"':
		return String
	case 't', 'f':
		return Boolean
	case 'n':
		return "null"
	default:
		return Number
	}
}

// What is left open may be.
var (
	openNumber = Type{Kind: Number}
	openArray  = Type{Kind: Array, Elem: &Anything}
)

// open checks what is left open: numbers that no reader could make anything of but a text.
func (c *checker) open(v Value) {
	switch {
	case v.TypeKind() == Number:
		c.number(&openNumber, v.raw())
	case v.Kind() == '{':
		for _, m := range v.Parts() {
			c.member(&Anything, m)
		}
	default:
		c.array(&openArray, v)
	}
}

func (c *checker) array(t *Type, v Value) {
	for i, elem := range v.Parts() {
		if c.full() {
			return
		}
		c.push(pathStep{index: i})
		c.value(t.Elem, elem)
		c.pop()
	}
}

func (c *checker) member(t *Type, m Value) {
	c.push(pathStep{key: m.Key(), index: -1})
	c.value(t, m)
	c.pop()
}

// key checks the key of a map whose keys are integers.
func (c *checker) key(t *Type, key string) {
	keys, limited := inQuotes(t.Keys)
	if !limited {
		return
	}
	var err error
	if keys.unsigned() {
		_, err = strconv.ParseUint(key, 10, keys.bits())
	} else {
		_, err = strconv.ParseInt(key, 10, keys.bits())
	}
	if err != nil {
		c.push(pathStep{key: key, index: -1})
		c.report("wrong_format", fmt.Sprintf("the key is not %s", keys))
		c.pop()
	}
}

func (c *checker) object(t *Type, v Value) {
	given := make([]bool, len(t.Fields))
	for _, m := range v.Parts() {
		key := m.Key()
		i := slices.IndexFunc(t.Fields, func(f Field) bool { return f.Name == key })
		switch {
		case c.full():
			return
		case i >= 0:
			given[i] = true
			c.member(&t.Fields[i].Type, m)
		case t.Open:
			c.key(t, key)
			c.member(t.Elem, m)
		default:
			c.push(pathStep{key: key, index: -1})
			c.report("unknown_field", "there is no such field"+c.suggest(key, t.Names()))
			c.pop()
		}
	}
	for i, f := range t.Fields {
		if f.Required && !given[i] {
			c.push(pathStep{key: f.Name, index: -1})
			c.report("missing_field", fmt.Sprintf("a value of type %s is required", f.Type))
			c.pop()
		}
	}
}

func (c *checker) text(t *Type, text string) {
	switch t.Format {
	case "":
	case DateTime:
		if err := new(time.Time).UnmarshalText([]byte(text)); err != nil {
			c.report("wrong_format", echo.Quote(text)+" is not a time as 2006-01-02T15:04:05Z")
		}
	case formatByte:
		if _, err := base64.StdEncoding.DecodeString(text); err != nil {
			c.report("wrong_format", "it is not base64")
		}
	default:
		c.quoted(t, text)
	}
}

// quoted checks a scalar in quotes, which must fill them: encoding/json takes no white space there.
func (c *checker) quoted(t *Type, text string) {
	inner, problems := Parse([]byte(text))
	scalar, _ := inQuotes(t.Format)
	if len(problems) == 0 && inner.raw() == text {
		problems = scalar.Check(inner)
	} else if len(problems) == 0 {
		problems = []FieldProblem{{}}
	}
	if len(problems) > 0 {
		c.report("wrong_format", fmt.Sprintf("%s is not %s in quotes", echo.Quote(text), scalar))
	}
}

// number checks what strconv, and so encoding/json, would make of a number.
func (c *checker) number(t *Type, literal string) {
	var err error
	switch {
	case t.Format == formatDecimal:
	case t.Kind == Number:
		_, err = strconv.ParseFloat(literal, t.bits())
	case strings.ContainsAny(literal, ".eE"):
		c.report("wrong_type", text.Clean(literal, echo.Max)+" is not written as an integer")
		return
	case t.unsigned():
		_, err = strconv.ParseUint(literal, 10, t.bits())
	default:
		_, err = strconv.ParseInt(literal, 10, t.bits())
	}
	switch {
	case err == nil:
	case errors.Is(err, strconv.ErrRange), strings.HasPrefix(literal, "-"):
		c.report("out_of_range", fmt.Sprintf("%s does not fit into %s", text.Clean(literal, echo.Max), t))
	default:
		c.report("wrong_type", text.Clean(literal, echo.Max)+" is no number")
	}
}

func (t *Type) unsigned() bool { return strings.HasPrefix(t.Format, "uint") }

// bits is the width that the format of a number ends in.
func (t *Type) bits() int {
	if bits, err := strconv.Atoi(strings.TrimLeft(t.Format, "abcdefghijklmnopqrstuvwxyz")); err == nil {
		return bits
	}
	return 64
}
