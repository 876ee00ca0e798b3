// Package check holds what callers give to what is taken. Its errors are those of the argument that they name.
package check

import (
	"fmt"
	"slices"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/squidmesh/squidmesh-go/internal/echo"
	"github.com/squidmesh/squidmesh-go/internal/text"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/jsontype"
)

// Text checks a text of a caller that may have several lines. The empty one is fine.
func Text(field, given string, limit int) error {
	return checkRunes(field, given, limit, func(r rune) bool { return !text.Control(r) && !text.Directs(r) })
}

// Line checks a text of printable characters. The empty one is fine.
func Line(field, given string, limit int) error {
	return checkRunes(field, given, limit, func(r rune) bool { return unicode.IsGraphic(r) || text.Joins(r) })
}

func checkRunes(field, text string, limit int, fine func(rune) bool) error {
	if len(text) > limit {
		return &flow.InputError{Field: field, Code: "too_long", Detail: fmt.Sprintf("has %d bytes, at most %d are taken", len(text), limit)}
	}
	if !utf8.ValidString(text) {
		return &flow.InputError{Field: field, Code: "invalid_text", Detail: "is not valid UTF-8"}
	}
	for _, r := range text {
		if !fine(r) {
			return &flow.InputError{Field: field, Code: "invalid_text", Detail: fmt.Sprintf("holds the character %U, which is not printable", r)}
		}
	}
	return nil
}

// Name checks the name of a workflow, trigger or step where an unknown one is no error. The empty one is fine.
func Name(field, name string) error {
	if name != "" && !text.ValidName(name) {
		return &flow.InputError{Field: field, Code: "bad_name", Detail: fmt.Sprintf("%s is not [a-z][a-z0-9_]* with at most 63 characters", echo.Quote(name))}
	}
	return nil
}

// Object checks a JSON object that a caller has made. None is fine.
func Object(field string, data []byte, limit int) error {
	if len(data) == 0 {
		return nil
	}
	if len(data) > limit {
		return &flow.InputError{Field: field, Code: "too_long", Detail: fmt.Sprintf("has %d bytes, at most %d are taken", len(data), limit)}
	}
	doc, problems := jsontype.Parse(data)
	switch {
	case len(problems) > 0:
		return &flow.InputError{Field: field, Code: problems[0].Code, Detail: problems[0].Error()}
	case doc.Kind() != '{':
		return &flow.InputError{Field: field, Code: "not_an_object", Detail: "is " + doc.TypeKind() + ", want object"}
	}
	return nil
}

// Time checks a time that a database is to compare with. The zero time is fine.
func Time(field string, at time.Time) error {
	if !at.IsZero() && (at.Year() < 1 || at.Year() > 9999) {
		return &flow.InputError{Field: field, Code: "out_of_range", Detail: fmt.Sprintf("is in the year %d, must be from 1 to 9999", at.Year())}
	}
	return nil
}

// Range checks a number.
func Range(field string, n, low, high int) error {
	if n < low || n > high {
		return &flow.InputError{Field: field, Code: "out_of_range", Detail: fmt.Sprintf("is %d, must be from %d to %d", n, low, high)}
	}
	return nil
}

func Statuses(field string, statuses []flow.RunStatus) error {
	for _, s := range statuses {
		if !slices.Contains(flow.RunStatuses, s) {
			return &flow.InputError{Field: field, Code: "unknown_status", Detail: fmt.Sprintf("%s is none of %v", echo.Quote(string(s)), flow.RunStatuses)}
		}
	}
	return nil
}
