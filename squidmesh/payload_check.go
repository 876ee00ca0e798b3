package squidmesh

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/echo"
)

// check lists where a value is not of the type: unknown and missing fields, nulls, wrong kinds and formats.
func (t Type) check(v jsonValue, path string) []FieldProblem {
	if t.Kind == kindAny {
		return nil
	}
	if v.kind == 'n' {
		if t.Nullable {
			return nil
		}
		return []FieldProblem{{path, "null", "null is not " + t.String()}}
	}
	if v.typeKind() != t.Kind && !(t.Kind == kindInteger && v.typeKind() == kindNumber) {
		return []FieldProblem{{path, "wrong_type", fmt.Sprintf("it is %s, want %s", v.typeKind(), t)}}
	}
	switch t.Kind {
	case kindObject:
		return t.checkObject(v, path)
	case kindArray:
		var problems []FieldProblem
		for i, elem := range v.elems {
			problems = append(problems, t.Elem.check(elem, joinPath(path, "["+strconv.Itoa(i)+"]"))...)
		}
		return problems
	case kindString:
		return t.checkString(v.text, path)
	case kindInteger, kindNumber:
		return t.checkNumber(string(v.raw), path)
	default:
		return nil
	}
}

// typeKind is the kind of type that the value has.
func (v jsonValue) typeKind() string {
	switch v.kind {
	case '{':
		return kindObject
	case '[':
		return kindArray
	case '"':
		return kindString
	case 't', 'f':
		return kindBoolean
	case 'n':
		return "null"
	default:
		return kindNumber
	}
}

func (t Type) checkObject(v jsonValue, path string) []FieldProblem {
	var problems []FieldProblem
	given := make(map[string]bool, len(v.members))
	for _, m := range v.members {
		given[m.key] = true
		at := joinPath(path, pathKey(m.key))
		if f, ok := t.field(m.key); ok {
			problems = append(problems, f.Type.check(m.value, at)...)
		} else if t.Open {
			problems = append(problems, t.Elem.check(m.value, at)...)
		} else {
			problems = append(problems, FieldProblem{at, "unknown_field", "there is no such field" + didYouMean(m.key, t.names())})
		}
	}
	for _, f := range t.Fields {
		if f.Required && !given[f.Name] {
			problems = append(problems, FieldProblem{joinPath(path, pathKey(f.Name)), "missing_field", fmt.Sprintf("a value of type %s is required", f.Type)})
		}
	}
	return problems
}

func (t Type) checkString(text, path string) []FieldProblem {
	switch t.Format {
	case "":
		return nil
	case formatDateTime:
		if err := new(time.Time).UnmarshalText([]byte(text)); err != nil {
			return []FieldProblem{{path, "wrong_format", echo.Quote(text) + " is not a time as 2006-01-02T15:04:05Z"}}
		}
		return nil
	case formatByte:
		if _, err := base64.StdEncoding.DecodeString(text); err != nil {
			return []FieldProblem{{path, "wrong_format", "it is not base64"}}
		}
		return nil
	default: // a scalar in quotes
		inner, problems := parseJSON([]byte(text))
		if len(problems) == 0 {
			problems = Type{Kind: t.Format}.check(inner, path)
		}
		if len(problems) > 0 {
			return []FieldProblem{{path, "wrong_format", fmt.Sprintf("%s is not %s in quotes", echo.Quote(text), t.Format)}}
		}
		return nil
	}
}

// checkNumber checks what strconv, and so encoding/json, would make of a number.
func (t Type) checkNumber(text, path string) []FieldProblem {
	var err error
	switch {
	case t.Kind == kindNumber:
		_, err = strconv.ParseFloat(text, t.bits())
	case strings.ContainsAny(text, ".eE"):
		return []FieldProblem{{path, "wrong_type", fmt.Sprintf("%s is not written as an integer", clean(text, echo.Max))}}
	case t.unsigned():
		_, err = strconv.ParseUint(text, 10, t.bits())
	default:
		_, err = strconv.ParseInt(text, 10, t.bits())
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, strconv.ErrRange), strings.HasPrefix(text, "-"):
		return []FieldProblem{{path, "out_of_range", fmt.Sprintf("%s does not fit into %s", clean(text, echo.Max), t)}}
	default:
		return []FieldProblem{{path, "wrong_type", clean(text, echo.Max) + " is no number"}}
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
