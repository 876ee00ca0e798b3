package squidmesh

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/squidmesh/squidmesh-go/internal/echo"
)

// The limits of what is taken from callers, in bytes.
const (
	maxKey      = 255
	maxActor    = 200
	maxProcess  = 200
	maxSignal   = 180 // with the name of its trigger it makes a key
	maxScope    = 200
	maxComment  = 4 << 10
	maxMetadata = 16 << 10
)

// checkCall refuses a call whose context has ended, and one from a FuncTx body.
func checkCall(ctx context.Context) error {
	if err := outsideTx(ctx); err != nil {
		return err
	}
	return ctx.Err()
}

// checkJoin refuses a call that cannot join its caller's transaction.
func checkJoin(ctx context.Context, tx any) error {
	if v := reflect.ValueOf(tx); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return &InputError{Field: "tx", Code: "required", Detail: "is nil: begin a transaction, or use the method without Tx"}
	}
	return ctx.Err()
}

// joinError says of an error within the caller's transaction whether the transaction is to blame.
func (rt *Runtime[TTx]) joinError(err error) error {
	if err != nil && rt.traits.TxEnded != nil && rt.traits.TxEnded(err) && !errors.Is(err, ErrTxUnusable) {
		return fmt.Errorf("%w: %w", ErrTxUnusable, err)
	}
	return err
}

// checkText checks a text of a caller that may have several lines. The empty one is fine.
func checkText(field, given string, limit int) error {
	return checkRunes(field, given, limit, func(r rune) bool { return !control(r) && !directs(r) })
}

// checkLine checks a text of printable characters. The empty one is fine.
func checkLine(field, given string, limit int) error {
	return checkRunes(field, given, limit, func(r rune) bool { return unicode.IsGraphic(r) || joins(r) })
}

// joins reports whether a character is a (non-)joiner, which cannot be seen, and without which Persian, Hindi and some emoji are
// misspelt.
func joins(r rune) bool { return r == '\u200c' || r == '\u200d' }

// directs reports whether a character changes the direction of the text around it, which makes a reader see another text.
func directs(r rune) bool { return r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' }

func checkRunes(field, text string, limit int, fine func(rune) bool) error {
	if len(text) > limit {
		return &InputError{Field: field, Code: "too_long", Detail: fmt.Sprintf("has %d bytes, at most %d are taken", len(text), limit)}
	}
	if !utf8.ValidString(text) {
		return &InputError{Field: field, Code: "invalid_text", Detail: "is not valid UTF-8"}
	}
	for _, r := range text {
		if !fine(r) {
			return &InputError{Field: field, Code: "invalid_text", Detail: fmt.Sprintf("holds the character %U, which is not printable", r)}
		}
	}
	return nil
}

// checkName checks the name of a workflow, trigger or step where an unknown one is no error. The empty one is fine.
func checkName(field, name string) error {
	if name != "" && !validName(name) {
		return &InputError{Field: field, Code: "bad_name", Detail: fmt.Sprintf("%s is not [a-z][a-z0-9_]* with at most 63 characters", echo.Quote(name))}
	}
	return nil
}

// checkObject checks a JSON object that a caller has made. None is fine.
func checkObject(field string, data []byte, limit int) error {
	if len(data) == 0 {
		return nil
	}
	if len(data) > limit {
		return &InputError{Field: field, Code: "too_long", Detail: fmt.Sprintf("has %d bytes, at most %d are taken", len(data), limit)}
	}
	doc, problems := parseJSON(data)
	switch {
	case len(problems) > 0:
		return &InputError{Field: field, Code: problems[0].Code, Detail: problems[0].Error()}
	case doc.kind() != '{':
		return &InputError{Field: field, Code: "not_an_object", Detail: "is " + doc.typeKind() + ", want object"}
	}
	return nil
}

// checkTime checks a time that a database is to compare with. The zero time is fine.
func checkTime(field string, at time.Time) error {
	if !at.IsZero() && (at.Year() < 1 || at.Year() > 9999) {
		return &InputError{Field: field, Code: "out_of_range", Detail: fmt.Sprintf("is in the year %d, must be from 1 to 9999", at.Year())}
	}
	return nil
}

// checkRange checks a number.
func checkRange(field string, n, low, high int) error {
	if n < low || n > high {
		return &InputError{Field: field, Code: "out_of_range", Detail: fmt.Sprintf("is %d, must be from %d to %d", n, low, high)}
	}
	return nil
}

func checkStatuses(field string, statuses []RunStatus) error {
	for _, s := range statuses {
		if !slices.Contains(RunStatuses, s) {
			return &InputError{Field: field, Code: "unknown_status", Detail: fmt.Sprintf("%s is none of %v", echo.Quote(string(s)), RunStatuses)}
		}
	}
	return nil
}
