package text

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// Print formats a value whose own methods may panic.
func Print(v any) (s string) {
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

// OfError reads an error whose own method may panic.
func OfError(err error) (s string) {
	defer func() {
		if recover() != nil {
			s = fmt.Sprintf("(%T whose text cannot be had)", err)
		}
	}()
	return err.Error()
}

// Readable shows bytes as the text that they mostly are.
func Readable(v any) any {
	switch v := v.(type) {
	case []byte:
		return string(v)
	case json.RawMessage:
		return string(v)
	case fmt.Formatter, fmt.Stringer, error:
		return v
	default:
		return fmt.Sprintf("%+v", v)
	}
}
