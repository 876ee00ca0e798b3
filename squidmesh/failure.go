package squidmesh

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/squidmesh/squidmesh-go/internal/encode"
)

// Limits of what is recorded of an error, in bytes.
const (
	maxMessage = 8 << 10
	maxStack   = 8 << 10
	maxDetails = 8 << 10
	maxCode    = 100
	maxCauses  = 10
)

// panicError is a panic of a step's function.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return "panic: " + printed(e.value) }

// printed formats a value whose own methods may panic.
func printed(v any) (s string) {
	defer func() {
		if recover() != nil {
			s = fmt.Sprintf("(%T whose text cannot be had)", v)
		}
	}()
	switch v := v.(type) {
	case error:
		return v.Error()
	case fmt.Stringer:
		return v.String()
	}
	p := printer{}
	p.value(reflect.ValueOf(v), 0)
	return p.text.String()
}

// printer prints values as fmt does, but of those that contain themselves, with which fmt ends the program, only the beginning. It calls
// no methods.
type printer struct{ text strings.Builder }

// Limits of what is printed of a value: how deep, and about how many bytes.
const (
	maxPrintedDepth = 8
	maxPrinted      = 16 << 10
)

func (p *printer) value(v reflect.Value, depth int) {
	composite := func(open, end string, n int, element func(i int)) {
		p.text.WriteString(open)
		for i := range n {
			if i > 0 {
				p.text.WriteByte(' ')
			}
			if p.text.Len() > maxPrinted {
				p.text.WriteString("...")
				break
			}
			element(i)
		}
		p.text.WriteString(end)
	}
	switch kind := v.Kind(); {
	case !v.IsValid():
		p.text.WriteString("<nil>")
	case depth > maxPrintedDepth:
		p.text.WriteString("...")
	case kind == reflect.Interface:
		p.value(v.Elem(), depth+1)
	case kind == reflect.Pointer && depth == 0 && !v.IsNil():
		p.text.WriteByte('&')
		p.value(v.Elem(), depth+1)
	case kind == reflect.Slice || kind == reflect.Array:
		composite("[", "]", v.Len(), func(i int) { p.value(v.Index(i), depth+1) })
	case kind == reflect.Struct:
		composite("{", "}", v.NumField(), func(i int) { p.value(v.Field(i), depth+1) })
	case kind == reflect.Map:
		keys := v.MapKeys()
		composite("map[", "]", len(keys), func(i int) {
			p.value(keys[i], depth+1)
			p.text.WriteByte(':')
			p.value(v.MapIndex(keys[i]), depth+1)
		})
	case kind == reflect.String:
		s := v.String()
		p.text.WriteString(s[:min(len(s), maxPrinted)])
	case kind == reflect.Pointer, kind == reflect.Chan, kind == reflect.Func, kind == reflect.UnsafePointer:
		fmt.Fprintf(&p.text, "%#x", v.Pointer())
	case v.CanInt():
		fmt.Fprint(&p.text, v.Int())
	case v.CanUint():
		fmt.Fprint(&p.text, v.Uint())
	case v.CanFloat():
		fmt.Fprint(&p.text, v.Float())
	case v.CanComplex():
		fmt.Fprint(&p.text, v.Complex())
	default:
		fmt.Fprint(&p.text, v.Bool())
	}
}

var errNobodys = errors.New("no error is this one")

// readable returns err, or a plain error in its place if one of its chain cannot be looked at without a panic, as a nil pointer to
// an error type often cannot.
func readable(err error) (readable error) {
	defer func() {
		if recover() != nil {
			readable = errors.New(errorText(err))
		}
	}()
	if left := maxChain; endless(err, &left) {
		return errors.New(errorText(err))
	}
	_ = errors.Is(err, errNobodys) // which looks at all of them
	return err
}

// maxChain is how many errors one can wrap.
const maxChain = 1000

// endless reports whether an error wraps more than what is left, as one that wraps itself does: nobody could look through it.
func endless(err error, left *int) bool {
	for err != nil {
		if *left--; *left < 0 {
			return true
		}
		switch e := err.(type) {
		case interface{ Unwrap() error }:
			err = e.Unwrap()
		case interface{ Unwrap() []error }:
			for _, next := range e.Unwrap() {
				if endless(next, left) {
					return true
				}
			}
			return false
		default:
			return false
		}
	}
	return false
}

// failedWith turns a function's error into its event.
func failedWith(a Attempted, err error) Failed {
	failed := Failed{Attempted: a, Error: describe(CodeError, err)}
	var final *finalError
	failed.Final = errors.As(err, &final)
	var after *retryAfterError
	if errors.As(err, &after) {
		failed.RetryAfter = &after.after
	}
	var coded *codedError
	if errors.As(err, &coded) && coded.code != "" {
		failed.Error.Code = clean(coded.code, maxCode)
	}
	var panicked *panicError
	if errors.As(err, &panicked) {
		failed.Error.Code = CodePanic
		failed.Error.Stack = clean(string(panicked.stack), maxStack)
	}
	return failed
}

// unlessCoded gives a failure that came without a code of its own another one than CodeError.
func unlessCoded(e *StepError, code string) {
	if e.Code == CodeError {
		e.Code = code
	}
}

// describe records an error as text that any database takes.
func describe(code string, err error) StepError {
	failure := StepError{Code: code, Message: clean(errorText(err), maxMessage)}
	failure.Causes = causes(nil, failure.Message, err)
	var detailed *detailedError
	if errors.As(err, &detailed) {
		failure.Details = encodeDetails(detailed.details)
	}
	return failure
}

// causes adds the messages of what err wraps, be it one error or several. An error that only marks another one has its message,
// which is not repeated.
func causes(found []string, last string, err error) []string {
	var wrapped []error
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		wrapped = []error{e.Unwrap()}
	case interface{ Unwrap() []error }:
		wrapped = e.Unwrap()
	}
	for _, next := range wrapped {
		if next == nil || len(found) == maxCauses {
			continue
		}
		text := clean(errorText(next), maxMessage/maxCauses)
		if text != last {
			found = append(found, text)
		}
		found = causes(found, text, next)
	}
	return found
}

// errorText reads an error whose own method may panic.
func errorText(err error) (s string) {
	defer func() {
		if recover() != nil {
			s = fmt.Sprintf("(%T whose text cannot be had)", err)
		}
	}()
	return err.Error()
}

// encodeDetails encodes the details of an error, whatever they are.
func encodeDetails(details any) json.RawMessage {
	omitted := func(why string) json.RawMessage {
		return json.RawMessage(`{"omitted":` + string(quote(why)) + `}`)
	}
	data, err := marshal(details)
	if err != nil {
		return omitted(clean(err.Error(), maxMessage/maxCauses))
	}
	if len(data) > maxDetails {
		return omitted(fmt.Sprintf("%d bytes are more than %d", len(data), maxDetails))
	}
	doc, problems := walkJSON(data)
	for _, p := range problems {
		if p.Code == "too_deep" {
			return omitted(p.Detail)
		}
	}
	mended := doc.mended() // which mends the others, and makes escapes of what no database takes
	if len(mended) > maxDetails {
		return omitted(fmt.Sprintf("%d bytes are more than %d", len(mended), maxDetails))
	}
	if isSealed(mended) {
		return omitted(sealedReserved)
	}
	return mended
}

// marshal encodes values whose own methods may panic.
func marshal(v any) (data []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%T panicked: %s", v, printed(r))
		}
	}()
	return encode.JSON(v)
}

// clean makes text that any database, log and terminal takes: control characters and what is not UTF-8 become escapes such as \x00.
// It cuts the text at limit bytes.
func clean(s string, limit int) string {
	s = s[:min(len(s), limit+1)] // what is escaped only gets longer
	var b strings.Builder
	b.Grow(len(s))
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		text := s[:n]
		if r == utf8.RuneError && n == 1 || control(r) {
			text = escaped(text)
		}
		if b.Len()+len(text) > limit {
			return cut(b.String(), limit)
		}
		b.WriteString(text)
		s = s[n:]
	}
	return b.String()
}

// control reports whether a character does more to a terminal than to end a line or indent it.
func control(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }

func escaped(text string) string {
	var b strings.Builder
	for i := range len(text) {
		fmt.Fprintf(&b, `\x%02x`, text[i])
	}
	return b.String()
}

// cut marks text as cut off, within the limit.
func cut(s string, limit int) string {
	end := min(len(s), limit-len("..."))
	for end > 0 && end < len(s) && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "..."
}
