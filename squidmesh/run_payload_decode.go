package squidmesh

import (
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/encode"
	"github.com/squidmesh/squidmesh-go/internal/text"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/jsontype"
)

// decodes checks by reading into the contract's own type, as a step of that type will. Types that read themselves (a uuid.UUID, a
// netip.Addr, whatever has an UnmarshalText or UnmarshalJSON) take less than [jsontype.Type] can say, and this is the only way to ask them.
func (c Contract) decodes() jsontype.DecodeCheck {
	if c.typ == nil {
		return func([]byte) error { return nil }
	}
	typ := jsontype.AsRead(c.typ)
	unmarshal := unmarshalFor(&typ)
	return func(payload []byte) (err error) {
		defer func() { // it is their code, in the caller's goroutine
			if r := recover(); r != nil {
				err = fmt.Errorf("panicked: %s", text.Print(r))
			}
		}()
		return unmarshal(payload, reflect.New(c.typ).Interface())
	}
}

// decodesDefault asks the contract's type about the default of a field. What a dynamic one will be is told by examples.
func decodesDefault(t flow.TriggerSpec, key string, value any, decodes jsontype.DecodeCheck) error {
	examples := []any{value}
	if value == any(DefaultNow) || value == any(DefaultToday) {
		examples = nil
		for _, at := range []time.Time{time.Date(2006, 1, 2, 15, 4, 5, 0, time.UTC), time.Date(2006, 1, 2, 15, 4, 5, 678901000, time.UTC)} {
			example, err := defaultValue(t, value, at)
			if err != nil {
				return nil // a time zone that has been told of
			}
			examples = append(examples, example)
		}
	}
	for _, example := range examples {
		literal, _ := example.(json.RawMessage)
		if err := decodes(encode.Object(map[string]json.RawMessage{key: literal})); err != nil {
			return fmt.Errorf("%s cannot be decoded: %s", text.Clean(string(literal), text.MaxLine), text.OneLine(err))
		}
	}
	return nil
}
