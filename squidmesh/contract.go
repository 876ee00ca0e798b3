package squidmesh

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/squidmesh/squidmesh-go/internal/echo"
	"github.com/squidmesh/squidmesh-go/internal/encode"
)

// Contract says what a run's input must be. The zero Contract accepts only the empty object. See [Payload].
type Contract struct {
	typ      reflect.Type
	defaults Defaults
}

// Defaults are values for payload keys that the caller leaves out: any JSON value that fits the key, or [Now] or [Today] for
// string keys. A key that is present, even with null, keeps its value.
type Defaults map[string]any

// DynamicDefault is a default that is worked out when a run starts.
type DynamicDefault string

// The dynamic defaults. Both fit string keys (time.Time included, which takes only Now). A run that a cron window starts takes the
// window's time, so that a late or repeated delivery says the same.
const (
	// Now is the time of the start in UTC, as RFC 3339.
	Now DynamicDefault = "$now"
	// Today is the date in the trigger's time zone, as 2006-01-02.
	Today DynamicDefault = "$today"
)

// Payload is the contract that a run's input has the shape of T, a struct: no unknown fields, no field missing that is neither a
// pointer nor marked omitempty or omitzero nor given a default, every value of its field's type. A start decodes it into a T once, to ask
// the types that read themselves, such as uuid.UUID or your own with UnmarshalText. They must answer at once, and the same at any time.
func Payload[T any](defaults ...Defaults) Contract {
	c := Contract{typ: reflect.TypeFor[T](), defaults: Defaults{}}
	for _, d := range defaults {
		for k, v := range d {
			c.defaults[k] = v
		}
	}
	return c
}

// defaultJSON keeps a dynamic default apart from a string that looks like one.
type defaultJSON struct {
	Value   json.RawMessage `json:"value,omitempty"`
	Dynamic DynamicDefault  `json:"dynamic,omitempty"`
}

// MarshalJSON writes each default as {"value": ...} or {"dynamic": ...}.
func (d Defaults) MarshalJSON() ([]byte, error) {
	out := make(map[string]defaultJSON, len(d))
	for key, value := range d {
		if dynamic, ok := value.(DynamicDefault); ok {
			out[key] = defaultJSON{Dynamic: dynamic}
			continue
		}
		raw, err := encode.JSON(value)
		if err != nil {
			return nil, err
		}
		out[key] = defaultJSON{Value: raw}
	}
	return encode.JSON(out)
}

// UnmarshalJSON reads what MarshalJSON wrote. Literal defaults become json.RawMessage.
func (d *Defaults) UnmarshalJSON(data []byte) error {
	var in map[string]defaultJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	*d = make(Defaults, len(in))
	for key, value := range in {
		if value.Dynamic != "" {
			(*d)[key] = value.Dynamic
			continue
		}
		doc, problems := parseJSON(value.Value)
		if len(problems) > 0 {
			return fmt.Errorf("default of %s: %w", echo.Quote(key), problems[0])
		}
		(*d)[key] = json.RawMessage(doc.canonical())
	}
	return nil
}
