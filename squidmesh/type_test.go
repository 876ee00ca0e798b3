package squidmesh

import (
	"encoding/json"
	"math/big"
	"reflect"
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

func fieldsOf[T any]() []Field { return typeOf(reflect.TypeFor[T]()).Fields }

func TestTypeOf_FollowsEncodingJSON(t *testing.T) {
	t.Parallel()
	str, integer := Type{Kind: "string"}, Type{Kind: "integer"}
	anything := Type{Kind: "any", Nullable: true}

	for name, tc := range map[string]struct {
		got, want any
	}{
		"string":      {typeOf(reflect.TypeFor[string]()), str},
		"bool":        {typeOf(reflect.TypeFor[bool]()), Type{Kind: "boolean"}},
		"int":         {typeOf(reflect.TypeFor[int]()), integer},
		"int8":        {typeOf(reflect.TypeFor[int8]()), Type{Kind: "integer", Format: "int8"}},
		"uint":        {typeOf(reflect.TypeFor[uint]()), Type{Kind: "integer", Format: "uint64"}},
		"duration":    {typeOf(reflect.TypeFor[time.Duration]()), integer},
		"float":       {typeOf(reflect.TypeFor[float64]()), Type{Kind: "number"}},
		"json.Number": {typeOf(reflect.TypeFor[json.Number]()), Type{Kind: "number"}},
		"time":        {typeOf(reflect.TypeFor[time.Time]()), Type{Kind: "string", Format: "date-time"}},
		"bytes":       {typeOf(reflect.TypeFor[[]byte]()), Type{Kind: "string", Format: "byte", Nullable: true}},
		"raw":         {typeOf(reflect.TypeFor[json.RawMessage]()), anything},
		"any":         {typeOf(reflect.TypeFor[any]()), anything},
		"marshaler":   {typeOf(reflect.TypeFor[opaque]()), anything},
		"big.Int":     {typeOf(reflect.TypeFor[big.Int]()), anything},
		"text":        {typeOf(reflect.TypeFor[uuid.UUID]()), str},
		"itself":      {typeOf(reflect.TypeFor[itself]()), anything},
		"list":        {typeOf(reflect.TypeFor[list]()), Type{Kind: "array", Nullable: true, Elem: &anything}},
		"pointer":     {typeOf(reflect.TypeFor[**int]()), Type{Kind: "integer", Nullable: true}},
		"slice":       {typeOf(reflect.TypeFor[[]int]()), Type{Kind: "array", Nullable: true, Elem: &integer}},
		"array":       {typeOf(reflect.TypeFor[[2]int]()), Type{Kind: "array", Elem: &integer}},
		"map":         {typeOf(reflect.TypeFor[map[int]string]()), Type{Kind: "object", Open: true, Nullable: true, Elem: &str}},
		"bad map":     {typeOf(reflect.TypeFor[map[struct{}]string]()), Type{Kind: "none"}},
		"channel":     {typeOf(reflect.TypeFor[chan int]()), Type{Kind: "none"}},

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
				H int `json:"h,string"`
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
		"embedding a marshaler": {typeOf(reflect.TypeFor[struct {
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
		ApprovalResult{Actor: "a", Comment: "b", Metadata: json.RawMessage("1")},
	} {
		data, err := json.Marshal(v)
		require.NoError(t, err)
		var object map[string]any
		require.NoError(t, json.Unmarshal(data, &object))
		typ := typeOf(reflect.TypeOf(v))
		require.ElementsMatch(t, typ.names(), sortedKeys(object), "%s", data)

		doc, problems := parseJSON(data)
		require.Empty(t, problems)
		require.Empty(t, typ.check(doc, ""))
	}
}

func TestAgrees(t *testing.T) {
	t.Parallel()
	type line struct {
		ISBN string
		Qty  int `json:",omitempty"`
	}
	type needy struct{ Qty int }
	of := func(v any) Type { return typeOf(reflect.TypeOf(v)) }
	for name, tc := range map[string]struct {
		out, in any
		want    string
	}{
		"same":                  {line{}, line{}, ""},
		"anything as opaque":    {line{}, json.RawMessage{}, ""},
		"opaque as anything":    {opaque{}, "", "it is opaque, read as string"},
		"integer as number":     {1, 1.5, ""},
		"number as integer":     {1.5, 1, "it is number, read as integer"},
		"widths":                {int64(1), int8(1), ""},
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
		"struct as map":                  {line{}, map[string]string{}, "Qty is integer, read as string"},
		"map as map":                     {map[string]int{}, map[string]string{}, "[] is integer, read as string"},
		"map as struct":                  {struct{ M map[string]int }{}, struct{ M *needy }{}, "M.Qty may be missing"},
		"struct of optional ones as map": {struct{ M map[string]int }{}, struct{ M *maybeX }{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, disagreement("", of(tc.out), of(tc.in)))
			require.Equal(t, tc.want == "", agrees(of(tc.out), of(tc.in)))
		})
	}
}
