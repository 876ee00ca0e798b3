package jsontype

import (
	"context"
	"encoding"
	"encoding/json"
	"maps"
	"math/big"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

type (
	base struct {
		ID   string `json:"id"`
		Same string
	}
	other struct {
		Same string
	}
	tagged struct {
		A int `json:"Same"`
	}
	untagged struct {
		Same int
	}
	tree struct {
		Name     string
		Children []tree
	}
	itself *itself
	list   []list
	opaque struct{}
)

func (opaque) MarshalJSON() ([]byte, error) { return []byte("1"), nil }

func (*opaque) UnmarshalJSON([]byte) error { return nil }

// Types that have methods for one way only.
type (
	jsonOut    struct{ A int }
	jsonIn     struct{ A int }
	textOut    string
	textIn     string
	pointerOut struct{ a int }
	keyOut     int
)

func (jsonOut) MarshalJSON() ([]byte, error) { return []byte("1"), nil }

func (*jsonIn) UnmarshalJSON([]byte) error { return nil }

func (t textOut) MarshalText() ([]byte, error) { return []byte("t-" + t), nil }

func (*textIn) UnmarshalText([]byte) error { return nil }

func (p *pointerOut) MarshalJSON() ([]byte, error) { return json.Marshal(p.a) }

func (p *pointerOut) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, &p.a) }

func (keyOut) MarshalText() ([]byte, error) { return []byte("k"), nil }

func fieldsOf[T any]() []Field { return AsRead(reflect.TypeFor[T]()).Fields }

func TestTypeOf_FollowsEncodingJSON(t *testing.T) {
	t.Parallel()
	str, integer := Type{Kind: "string"}, Type{Kind: "integer"}
	anything := Type{Kind: "any", Nullable: true}

	for name, tc := range map[string]struct {
		got, want any
	}{
		"string":      {AsRead(reflect.TypeFor[string]()), str},
		"bool":        {AsRead(reflect.TypeFor[bool]()), Type{Kind: "boolean"}},
		"int":         {AsRead(reflect.TypeFor[int]()), integer},
		"int8":        {AsRead(reflect.TypeFor[int8]()), Type{Kind: "integer", Format: "int8"}},
		"uint":        {AsRead(reflect.TypeFor[uint]()), Type{Kind: "integer", Format: "uint64"}},
		"duration":    {AsRead(reflect.TypeFor[time.Duration]()), integer},
		"float":       {AsRead(reflect.TypeFor[float64]()), Type{Kind: "number"}},
		"json.Number": {AsRead(reflect.TypeFor[json.Number]()), Type{Kind: "number", Format: "decimal"}},
		"time":        {AsRead(reflect.TypeFor[time.Time]()), Type{Kind: "string", Format: "date-time"}},
		"bytes":       {AsRead(reflect.TypeFor[[]byte]()), Type{Kind: "string", Format: "byte", Nullable: true}},
		"raw":         {AsRead(reflect.TypeFor[json.RawMessage]()), anything},
		"any":         {AsRead(reflect.TypeFor[any]()), anything},
		"marshaler":   {AsRead(reflect.TypeFor[opaque]()), anything},
		"big.Int":     {AsRead(reflect.TypeFor[big.Int]()), anything},
		"text":        {AsRead(reflect.TypeFor[uuid.UUID]()), str},
		"itself":      {AsRead(reflect.TypeFor[itself]()), anything},
		"list":        {AsRead(reflect.TypeFor[list]()), Type{Kind: "array", Nullable: true, Elem: &anything}},
		"pointer":     {AsRead(reflect.TypeFor[**int]()), Type{Kind: "integer", Nullable: true}},
		"slice":       {AsRead(reflect.TypeFor[[]int]()), Type{Kind: "array", Nullable: true, Elem: &integer}},
		"array":       {AsRead(reflect.TypeFor[[2]int]()), Type{Kind: "array", Elem: &integer}},
		"map":         {AsRead(reflect.TypeFor[map[int]string]()), Type{Kind: "object", Open: true, Nullable: true, Keys: "integer", Elem: &str}},

		"tags": {
			fieldsOf[struct {
				A string `json:"a"`
				B string `json:"b,omitempty"`
				C string `json:",omitzero"`
				D string `json:"-"`
				//lint:ignore SA5008 encoding/json reads it as the name "-"
				E string `json:"-,"`
				F *int
				g int
				H int   `json:"h,string"`
				J uint8 `json:"j,string"`
				//lint:ignore SA5008 encoding/json goes by the field's name then
				I int `json:"a\"b"`
			}](),
			[]Field{
				{"a", true, str},
				{"b", false, str},
				{"C", false, str},
				{"-", true, str},
				{"F", false, Type{Kind: "integer", Nullable: true}},
				{"h", true, Type{Kind: "string", Format: "integer"}},
				{"j", true, Type{Kind: "string", Format: "uint8"}},
				{"I", true, integer},
			},
		},
		"embedded": {
			fieldsOf[struct {
				base
				other
				Own int
			}](),
			[]Field{{"id", true, str}, {"Own", true, integer}},
		},
		"embedded pointer": {fieldsOf[struct{ *base }](), []Field{{"id", false, str}, {"Same", false, str}}},
		"embedded under a name": {
			fieldsOf[struct {
				other `json:"o"`
			}](),
			[]Field{{"o", true, Type{Kind: "object", Fields: []Field{{"Same", true, str}}}}},
		},
		"shadowed": {
			fieldsOf[struct {
				base
				Same int
			}](),
			[]Field{{"id", true, str}, {"Same", true, integer}},
		},
		"recursive": {
			fieldsOf[tree](),
			[]Field{{"Name", true, str}, {"Children", true, Type{Kind: "array", Nullable: true, Elem: &anything}}},
		},
		"embedding a marshaler": {AsRead(reflect.TypeFor[struct {
			time.Time
			X int
		}]()), anything},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, tc.got)
		})
	}
}

// Where a type has methods for one way only, what is written is not what is read.
func TestTypeOf_AsWrittenAndAsRead(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		typ           reflect.Type
		written, read string // the kind, or the code of the problem
	}{
		"both":                       {reflect.TypeFor[opaque](), "any", "any"},
		"MarshalJSON alone":          {reflect.TypeFor[jsonOut](), "any", "unreadable_type"},
		"UnmarshalJSON alone":        {reflect.TypeFor[jsonIn](), "object", "any"},
		"MarshalText alone":          {reflect.TypeFor[textOut](), "string", "unreadable_type"},
		"UnmarshalText alone":        {reflect.TypeFor[textIn](), "string", "string"},
		"of the pointer":             {reflect.TypeFor[pointerOut](), "any", "any"},
		"in a slice":                 {reflect.TypeFor[[]big.Int](), "array", "array"},
		"in a map":                   {reflect.TypeFor[map[string]big.Int](), "unencodable_type", "object"},
		"in an array in a map":       {reflect.TypeFor[map[string][2]pointerOut](), "unencodable_type", "object"},
		"in a struct in a map":       {reflect.TypeFor[map[string]struct{ N big.Float }](), "unencodable_type", "object"},
		"embedded in a map":          {reflect.TypeFor[map[string]struct{ big.Rat }](), "unencodable_type", "object"},
		"pointer in a map":           {reflect.TypeFor[map[string]*big.Int](), "object", "object"},
		"slice in a map":             {reflect.TypeFor[map[string][]big.Int](), "object", "object"},
		"embedded pointer in a map":  {reflect.TypeFor[map[string]struct{ *base }](), "object", "object"},
		"error":                      {reflect.TypeFor[error](), "unreadable_type", "unreadable_type"},
		"context":                    {reflect.TypeFor[context.Context](), "unreadable_type", "unreadable_type"},
		"interface that is written":  {reflect.TypeFor[json.Marshaler](), "any", "unreadable_type"},
		"interface that has text":    {reflect.TypeFor[encoding.TextMarshaler](), "string", "unreadable_type"},
		"error inside":               {reflect.TypeFor[[]struct{ Err error }](), "unreadable_type", "unreadable_type"},
		"channel":                    {reflect.TypeFor[chan int](), "unencodable_type", "unreadable_type"},
		"function":                   {reflect.TypeFor[func()](), "unencodable_type", "unreadable_type"},
		"complex number":             {reflect.TypeFor[complex128](), "unencodable_type", "unreadable_type"},
		"map by struct":              {reflect.TypeFor[map[struct{}]string](), "unencodable_type", "unreadable_type"},
		"map by text":                {reflect.TypeFor[map[uuid.UUID]string](), "object", "object"},
		"map by text that stays out": {reflect.TypeFor[map[keyOut]string](), "object", "unreadable_type"},
		"own text in quotes": {reflect.TypeFor[struct {
			A textIn `json:",string"`
		}](), "object", "unreadable_type"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kind := func(typ Type) string {
				if _, part := typ.Unfit(); part != nil {
					require.NotEmpty(t, part.why)
					return part.problem
				}
				return typ.Kind
			}
			require.Equal(t, tc.written, kind(AsWritten(tc.typ)), "written")
			require.Equal(t, tc.read, kind(AsRead(tc.typ)), "read")
		})
	}
}

// What a struct encodes to has the keys that its type says.
func TestTypeOf_KeysAreThoseOfTheEncoder(t *testing.T) {
	t.Parallel()
	for _, v := range []any{
		struct {
			base
			other
			Own int
		}{},
		struct{ *base }{&base{}},
		struct {
			other `json:"o"`
			B     any `json:"b"`
		}{},
		struct {
			tagged
			untagged
		}{},
		struct {
			A string `json:"a b"`
			B string `json:"ä,omitempty"`
		}{B: "x"},
		tree{},
		struct {
			Decision string          `json:"decision"`
			Actor    string          `json:"actor,omitempty"`
			Metadata json.RawMessage `json:"metadata,omitempty"`
			At       time.Time       `json:"at"`
		}{Actor: "a", Metadata: json.RawMessage("1")},
	} {
		data, err := json.Marshal(v)
		require.NoError(t, err)
		var object map[string]any
		require.NoError(t, json.Unmarshal(data, &object))
		typ := AsWritten(reflect.TypeOf(v))
		require.ElementsMatch(t, typ.Names(), slices.Sorted(maps.Keys(object)), "%s", data)

		doc, problems := Parse(data)
		require.Empty(t, problems)
		require.Empty(t, typ.Check(doc))
	}
}

func TestAgrees(t *testing.T) {
	t.Parallel()
	type line struct {
		ISBN string
		Qty  int `json:",omitempty"`
	}
	type needy struct{ Qty int }
	for name, tc := range map[string]struct {
		out, in any
		want    string
	}{
		"same":                  {line{}, line{}, ""},
		"anything as opaque":    {line{}, json.RawMessage{}, ""},
		"opaque as anything":    {opaque{}, "", "it is opaque, read as string"},
		"number as integer":     {1.5, 1, "it is number, read as integer, which has no fractions"},
		"text, one way":         {textOut(""), "", ""},
		"text, the other way":   {"", textIn(""), ""},
		"JSON, one way":         {jsonOut{}, json.RawMessage{}, ""},
		"JSON as its fields":    {jsonOut{}, struct{ A int }{}, "it is opaque, read as object"},
		"fields as JSON":        {jsonIn{}, jsonIn{}, ""},
		"time as string":        {time.Time{}, "", ""},
		"string as time":        {"", time.Time{}, "it is string, read as string (date-time)"},
		"string as text":        {"", uuid.UUID{}, ""},
		"string as bytes":       {"", []byte{}, "it is string, read as string (byte)"},
		"pointer as value":      {new(int), 1, "it may be null, read as integer"},
		"value as pointer":      {1, new(int), ""},
		"slice as array":        {[]int{}, [1]int{}, "it may be null, read as array of integer"},
		"elements":              {[]line{}, []string{}, "[] is object, read as string"},
		"pointers as elements":  {[]*int{}, []int{}, "[] may be null, read as integer"},
		"field that may be out": {line{}, needy{}, "Qty may be missing"},
		"field that is missing": {struct{}{}, needy{}, "Qty is missing"},
		"more fields":           {line{}, struct{}{}, ""},
		"nested": {
			struct{ Lines []line }{},
			struct{ Lines []struct{ ISBN int } }{},
			"Lines[].ISBN is string, read as integer",
		},
		"null where absence does": {struct{ A *int }{}, struct {
			A int `json:",omitempty"`
		}{}, ""},
		"struct as map":         {line{}, map[string]string{}, "Qty is integer, read as string"},
		"text keys as numbers":  {map[string]int{}, map[int]int{}, "the keys of it are string, read as integer"},
		"keys of another width": {map[int]int{}, map[int8]int{}, "the keys of it are integer, read as int8"},
		"number keys as text":   {map[int8]int{}, map[string]int{}, ""},
		"map as map":            {map[string]int{}, map[string]string{}, "[] is integer, read as string"},
		"map as struct":         {struct{ M map[string]int }{}, struct{ M *needy }{}, "M.Qty may be missing"},
		"struct of optional ones as map": {struct{ M map[string]int }{}, struct {
			M *struct {
				X int `json:",omitempty"`
			}
		}{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, in := AsWritten(reflect.TypeOf(tc.out)), AsRead(reflect.TypeOf(tc.in))
			require.Equal(t, tc.want, Disagreement("", out, in))
			require.Equal(t, tc.want == "", agrees(out, in))
		})
	}
}

// Numbers read as what they were, whatever their type, or the types do not agree.
func TestAgrees_Numbers(t *testing.T) {
	t.Parallel()
	types := []reflect.Type{
		reflect.TypeFor[int8](), reflect.TypeFor[int16](), reflect.TypeFor[int32](), reflect.TypeFor[int64](), reflect.TypeFor[int](),
		reflect.TypeFor[uint8](), reflect.TypeFor[uint16](), reflect.TypeFor[uint32](), reflect.TypeFor[uint64](), reflect.TypeFor[uint](),
		reflect.TypeFor[float32](), reflect.TypeFor[float64](), reflect.TypeFor[json.Number](),
	}
	limits := map[string][]string{
		"int8": {"-128", "127"}, "int16": {"-32768", "32767"}, "int32": {"-2147483648", "2147483647"},
		"int64": {"-9223372036854775808", "9223372036854775807"}, "int": {"-9223372036854775808", "9223372036854775807"},
		"uint8": {"0", "255"}, "uint16": {"0", "65535"}, "uint32": {"0", "4294967295"},
		"uint64": {"0", "18446744073709551615"}, "uint": {"0", "18446744073709551615"},
		"float32": {"1.5", "16777217", "3e38"}, "float64": {"1.5", "9007199254740993", "1e300"}, "Number": {"1.5", "1e400", "123456789012345678901234567890"},
	}
	// keeps reports whether each of the extreme values of out is the same number when it has been written and read as in.
	keeps := func(out, in reflect.Type) bool {
		for _, text := range limits[out.Name()] {
			written := reflect.New(out)
			require.NoError(t, json.Unmarshal([]byte(text), written.Interface()))
			data, err := json.Marshal(written.Interface())
			require.NoError(t, err)
			read := reflect.New(in)
			if json.Unmarshal(data, read.Interface()) != nil {
				return false
			}
			again, err := json.Marshal(read.Interface())
			require.NoError(t, err)
			was, _ := new(big.Rat).SetString(string(data))
			is, _ := new(big.Rat).SetString(string(again))
			if was.Cmp(is) != 0 {
				return false
			}
		}
		return true
	}
	type quotedInt struct {
		N int `json:",string"`
	}
	type quotedByte struct {
		N byte `json:",string"`
	}
	require.True(t, agrees(AsWritten(reflect.TypeFor[quotedByte]()), AsRead(reflect.TypeFor[quotedInt]())))
	require.False(t, agrees(AsWritten(reflect.TypeFor[quotedInt]()), AsRead(reflect.TypeFor[quotedByte]())))
	for _, out := range types {
		for _, in := range types {
			require.Equal(t, keeps(out, in), agrees(AsWritten(out), AsRead(in)), "%s as %s: %s", out, in,
				Disagreement("", AsWritten(out), AsRead(in)))
		}
	}
}
