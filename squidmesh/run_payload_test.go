package squidmesh

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/jsontype"
)

type basket struct {
	Customer string            `json:"customer"`
	Lines    []basketLine      `json:"lines"`
	Gift     *bool             `json:"gift"`
	Day      string            `json:"day"`
	At       time.Time         `json:"at"`
	Limit    int               `json:"limit"`
	Tags     map[string]string `json:"tags,omitempty"`
	Small    uint8             `json:"small,omitempty"`
	Rate     float64           `json:"rate,omitempty"`
	Quoted   int               `json:"quoted,omitempty,string"`
	Quoted8  int8              `json:"quoted8,omitempty,string"`
	Decimal  json.Number       `json:"decimal,omitempty"`
	Counts   map[uint8]int     `json:"counts,omitempty"`
	Blob     []byte            `json:"blob,omitempty"`
	Extra    json.RawMessage   `json:"extra,omitempty"`
}

type basketLine struct {
	ISBN string `json:"isbn"`
	Qty  int    `json:"qty"`
}

// noon is 23:30 of the day before in New York.
var noon = time.Date(2026, 3, 1, 4, 30, 0, 0, time.UTC)

func basketTrigger(t testing.TB) flow.TriggerSpec {
	t.Helper()
	spec, err := Compile(Workflow{
		Name: "w",
		Triggers: []Trigger{{
			Name: "buy", TimeZone: "America/New_York",
			Payload: Payload[basket](Defaults{"day": DefaultToday, "at": DefaultNow, "limit": 7}),
		}},
		Steps: []Step{step("a")},
	})
	require.NoError(t, err)
	return spec.Triggers()[0]
}

func TestResolve_ListsEveryProblem(t *testing.T) {
	t.Parallel()
	trigger := basketTrigger(t)
	deep := func(n int) string {
		return `{"customer":"c","lines":[],"extra":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}`
	}
	with := func(rest string) string { return `{"customer":"c","lines":[],` + rest + `}` }

	for name, tc := range map[string]struct {
		payload string
		want    []string
	}{
		"empty":            {`{}`, []string{"missing_field customer", "missing_field lines"}},
		"nothing":          {``, []string{"missing_field customer", "missing_field lines"}},
		"null":             {`null`, []string{"not_an_object "}},
		"array":            {`[]`, []string{"not_an_object "}},
		"no JSON":          {`{"customer":}`, []string{"invalid_json "}},
		"cut off":          {`{"customer":"c"`, []string{"invalid_json "}},
		"trailing":         {`{} {}`, []string{"trailing_data "}},
		"trailing garbage": {`{}x`, []string{"trailing_data "}},
		"several together": {
			`{"custmer":"x","lines":[{"isbn":1,"qty":2},{"isbn":"x","qty":1.5,"qyt":1}],"gift":"yes","limit":null}`,
			[]string{
				"unknown_field custmer", "wrong_type lines[0].isbn", "wrong_type lines[1].qty", "unknown_field lines[1].qyt",
				"wrong_type gift", "null limit", "missing_field customer",
			},
		},
		"other case":       {`{"Customer":"c","lines":[]}`, []string{"unknown_field Customer", "missing_field customer"}},
		"null fits":        {with(`"gift":null`), nil},
		"null list":        {`{"customer":"c","lines":null}`, nil},
		"null in list":     {`{"customer":"c","lines":[null]}`, []string{"null lines[0]"}},
		"null customer":    {`{"customer":null,"lines":[]}`, []string{"null customer"}},
		"repeated":         {with(`"limit":1,"limit":2`), []string{"duplicate_key limit"}},
		"repeated inside":  {with(`"extra":{"a":1,"a":2}`), []string{"duplicate_key extra.a"}},
		"repeated, hidden": {with(`"extra":{"a":1,"\u0061":2}`), []string{"duplicate_key extra.a"}},
		"NUL":              {with(`"tags":{"a":"x\u0000"}`), []string{"nul_character tags.a"}},
		"NUL in a key":     {with(`"tags":{"\u0000":"x"}`), []string{"nul_character tags"}},
		"escaped escape":   {with(`"tags":{"a":"\\u0000 \\ud800"}`), nil},
		"pair":             {with(`"tags":{"a":"\ud83d\ude00"}`), nil},
		"lone surrogate":   {with(`"tags":{"a":"\ud83d x"}`), []string{"lone_surrogate tags.a"}},
		"low surrogate":    {with(`"tags":{"a":"\ude00"}`), []string{"lone_surrogate tags.a"}},
		"reversed pair":    {with(`"tags":{"a":"\ude00\ud83d"}`), []string{"lone_surrogate tags.a"}},
		"half at the end":  {with(`"tags":{"a":"\ud83d"}`), []string{"lone_surrogate tags.a"}},
		"no UTF-8":         {with("\"tags\":{\"a\":\"\xff\"}"), []string{"invalid_utf8 tags.a"}},
		"deep":             {deep(63), nil},
		"too deep":         {deep(64), []string{"too_deep extra" + strings.Repeat("[0]", 63)}},
		"far too deep":     {deep(9000), []string{"too_deep extra" + strings.Repeat("[0]", 63)}},
		"too large":        {`{"customer":"` + strings.Repeat("x", 256<<10) + `"}`, []string{"too_large "}},
		"odd key":          {with(`"tags":{"a b":1}`), []string{`wrong_type tags["a b"]`}},

		"integer":         {with(`"limit":9223372036854775807`), nil},
		"too big":         {with(`"limit":9223372036854775808`), []string{"out_of_range limit"}},
		"fraction":        {with(`"limit":1.0`), []string{"wrong_type limit"}},
		"minus fraction":  {with(`"limit":-1.5`), []string{"wrong_type limit"}},
		"exponent":        {with(`"limit":1e2`), []string{"wrong_type limit"}},
		"small":           {with(`"small":255`), nil},
		"too small":       {with(`"small":256`), []string{"out_of_range small"}},
		"negative":        {with(`"small":-1`), []string{"out_of_range small"}},
		"number":          {with(`"rate":1e308`), nil},
		"infinite":        {with(`"rate":1e400`), []string{"out_of_range rate"}},
		"integer, quoted": {with(`"quoted":"12"`), nil},
		"text, quoted":    {with(`"quoted":"x"`), []string{"wrong_format quoted"}},
		"space, quoted":   {with(`"quoted":" 1"`), []string{"wrong_format quoted"}},
		"null, quoted":    {with(`"quoted":"null"`), []string{"wrong_format quoted"}},
		"big, quoted":     {with(`"quoted8":"300"`), []string{"wrong_format quoted8"}},
		"huge, left open": {with(`"extra":[1e400,{"a":[1e400000]}]`), []string{"out_of_range extra[0]", "out_of_range extra[1].a[0]"}},
		"key":             {with(`"counts":{"1":2}`), nil},
		"no key":          {with(`"counts":{"300":2,"x":3}`), []string{"wrong_format counts[\"300\"]", "wrong_format counts.x"}},
		"huge, decimal":   {with(`"decimal":1e400`), nil},
		"unquoted":        {with(`"quoted":12`), []string{"wrong_type quoted"}},
		"time":            {with(`"at":"2026-01-02T03:04:05+01:00"`), nil},
		"no time":         {with(`"at":"2026-01-02"`), []string{"wrong_format at"}},
		"base64":          {with(`"blob":"AQI="`), nil},
		"no base64":       {with(`"blob":"?"`), []string{"wrong_format blob"}},
		"anything":        {with(`"extra":[1,null,{"a":"b"}]`), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resolved, err := resolve(trigger, json.RawMessage(tc.payload), noon)
			if tc.want == nil {
				require.NoError(t, err)
				require.NoError(t, json.Unmarshal(resolved, new(basket)))
				return
			}
			var payload *PayloadError
			require.True(t, errors.As(err, &payload), "%v", err)
			require.Equal(t, "buy", payload.Trigger)
			var got []string
			for _, p := range payload.Problems {
				require.NotEmpty(t, p.Detail)
				got = append(got, p.Code+" "+p.Field)
			}
			require.Equal(t, tc.want, got)
		})
	}
}

func TestResolve_FillsInDefaults(t *testing.T) {
	t.Parallel()
	trigger := basketTrigger(t)

	resolved, err := resolve(trigger, json.RawMessage(` { "lines" : [ ], "customer":"<\u0063>" } `), noon)
	require.NoError(t, err)
	require.Equal(t, `{"at":"2026-03-01T04:30:00Z","customer":"<c>","day":"2026-02-28","limit":7,"lines":[]}`, string(resolved))

	resolved, err = resolve(trigger, json.RawMessage(`{"customer":"c","lines":[],"day":"$now","at":"2020-01-01T00:00:00Z","limit":12345678901234567}`), noon)
	require.NoError(t, err)
	require.Equal(t, `{"at":"2020-01-01T00:00:00Z","customer":"c","day":"$now","limit":12345678901234567,"lines":[]}`, string(resolved))

	again, err := resolve(trigger, resolved, noon)
	require.NoError(t, err)
	require.Equal(t, string(resolved), string(again))
}

// A literal that looks like a dynamic default stays a literal, also once the spec has been stored.
func TestDefaults_SurviveStorage(t *testing.T) {
	t.Parallel()
	spec, err := Compile(on(Manual("s", Payload[order](Defaults{"order_id": "$now", "total": json.Number("7")})),
		Manual("d", Payload[order](Defaults{"order_id": DefaultNow})),
		Manual("html", Payload[order](Defaults{"order_id": "<b>"}))))
	require.NoError(t, err)
	data, err := json.Marshal(spec)
	require.NoError(t, err)
	var read Spec
	require.NoError(t, json.Unmarshal(data, &read))
	require.Equal(t, spec, &read)

	literal, err := resolve(read.Triggers()[0], nil, noon)
	require.NoError(t, err)
	require.Equal(t, `{"order_id":"$now","total":7}`, string(literal))
	dynamic, err := resolve(read.Triggers()[1], json.RawMessage(`{"total":1}`), noon)
	require.NoError(t, err)
	require.Equal(t, `{"order_id":"2026-03-01T04:30:00Z","total":1}`, string(dynamic))
}

func TestResolve_TheZeroContractTakesNothing(t *testing.T) {
	t.Parallel()
	spec, err := Compile(on(Manual("s", Contract{})))
	require.NoError(t, err)
	resolved, err := resolve(spec.Triggers()[0], nil, noon)
	require.NoError(t, err)
	require.Equal(t, "{}", string(resolved))
	_, err = resolve(spec.Triggers()[0], json.RawMessage(`{"a":1}`), noon)
	require.EqualError(t, err, `payload of trigger "s": a: there is no such field`)
}

// resolve is what becomes of a payload that is started with.
func resolve(t flow.TriggerSpec, payload json.RawMessage, now time.Time) (json.RawMessage, error) {
	return resolveInto(t, Contract{}.decodes(), payload, now)
}

func resolveInto(t flow.TriggerSpec, decodes jsontype.DecodeCheck, payload json.RawMessage, now time.Time) (json.RawMessage, error) {
	a, err := acceptPayload(t, payload, decodes)
	if err != nil {
		return nil, err
	}
	return fillPayload(t, a, now)
}

func TestAccept_HashesWhatIsMeant(t *testing.T) {
	t.Parallel()
	trigger := flow.TriggerSpec{Name: "t", Payload: jsontype.Type{Kind: jsontype.Object, Open: true, Elem: &jsontype.Anything}}
	hash := func(s string) string {
		a, err := acceptPayload(trigger, json.RawMessage(s), Contract{}.decodes())
		require.NoError(t, err)
		return a.hash
	}
	require.Equal(t, hash(`{"a":1,"b":{"c":[1,2],"d":"\u0061"}}`), hash(` {"b":{"d":"a","c":[ 1,2 ]},"a":1}`))
	require.Equal(t, hash(``), hash(`{}`))
	require.NotEqual(t, hash(`{"a":[1,2]}`), hash(`{"a":[2,1]}`))
	require.NotEqual(t, hash(`{"a":12345678901234567}`), hash(`{"a":12345678901234568}`))
	require.NotEqual(t, hash(`{"a":null}`), hash(`{}`))
	require.Equal(t, "44136fa355b3678a1146ad16f7e8649e", hash(`{}`), "keys that are in use must still match")
	require.Equal(t, "14b2a63850c5be790396e27c831f5e12", hash(`{"a":"<é\u2028>"}`))
}

// drawJSON draws text that is JSON, or nearly.
func drawJSON(t *rapid.T, depth int) string {
	key := rapid.SampledFrom([]string{`"customer"`, `"lines"`, `"at"`, `"tags"`, `"a"`, `"\u0000"`, `"\ud800"`, `"\u0061"`})
	switch n := rapid.IntRange(0, 9).Draw(t, "kind"); {
	case n < 3 && depth > 0:
		members := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
			return key.Draw(t, "key") + ":" + drawJSON(t, depth-1)
		}), 0, 4).Draw(t, "members")
		return "{" + strings.Join(members, ",") + "}"
	case n < 5 && depth > 0:
		elems := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string { return drawJSON(t, depth-1) }), 0, 4).Draw(t, "elems")
		return "[" + strings.Join(elems, " , ") + "]"
	case n < 7:
		data, _ := json.Marshal(rapid.String().Draw(t, "text"))
		return string(data)
	default:
		return rapid.SampledFrom([]string{"1", "-0", "1.5e3", "true", "null", `"\ud83d\ude00"`, `"2026-01-02T03:04:05Z"`, `"\\"`, `"\"`, "{"}).Draw(t, "scalar")
	}
}

// Whatever comes, resolve answers; what it lets through it lets through again unchanged, and encoding/json reads it.
func TestResolve_AnyInput(t *testing.T) {
	t.Parallel()
	trigger := basketTrigger(t)
	rapid.Check(t, func(t *rapid.T) {
		payload := drawJSON(t, 4)
		if rapid.Bool().Draw(t, "fitting") {
			payload = `{"customer":"c","lines":[],"extra":` + payload + `}`
		}
		resolved, err := resolve(trigger, json.RawMessage(payload), noon)
		if err != nil {
			var problems *PayloadError
			require.True(t, errors.As(err, &problems), "%v", err)
			return
		}
		require.NoError(t, json.Unmarshal(resolved, new(basket)))
		again, err := resolve(trigger, resolved, noon)
		require.NoError(t, err)
		require.Equal(t, string(resolved), string(again))
	})
}

// Nothing is written twice on a path, so an input is what encoding/json would make of all the data together.
func TestAssembleInput_IsASelectionOfTheData(t *testing.T) {
	t.Parallel()
	names := []string{"a", "b", "c", "d"}
	rapid.Check(t, func(t *rapid.T) {
		var steps []flow.StepSpec
		outputs := map[string]json.RawMessage{}
		data := map[string]any{}
		object := func(prefix string) json.RawMessage {
			m := rapid.MapOfN(rapid.SampledFrom(names), rapid.Int(), 0, 3).Draw(t, prefix)
			members := map[string]any{}
			for key, value := range m {
				members[prefix+key], data[prefix+key] = value, float64(value)
			}
			raw, err := json.Marshal(members)
			require.NoError(t, err)
			return raw
		}
		payload := object("p")
		for _, name := range names {
			st := flow.StepSpec{Name: name}
			raw := object(name)
			if rapid.Bool().Draw(t, "named") {
				st.Output = "out_" + name
				var value any
				require.NoError(t, json.Unmarshal(raw, &value))
				for key := range value.(map[string]any) {
					delete(data, key)
				}
				data[st.Output] = value
			}
			outputs[name] = raw
			steps = append(steps, st)
		}
		spec := flow.NewSpec("w", "", nil, steps)
		keys := rapid.SliceOfDistinct(rapid.SampledFrom(append(slices.Sorted(maps.Keys(data)), "missing")), rapid.ID).Draw(t, "keys")
		want := map[string]any{}
		for _, key := range keys {
			if value, ok := data[key]; ok {
				want[key] = value
			}
		}
		var got map[string]any
		require.NoError(t, json.Unmarshal(spec.Input(keys, names, payload, outputs), &got))
		require.Equal(t, want, got)
	})
}

func TestAssembleInput_KeepsValuesByteForByte(t *testing.T) {
	t.Parallel()
	spec := flow.NewSpec("w", "", nil, []flow.StepSpec{{Name: "a", Output: "all"}, {Name: "b"}})
	got := spec.Input([]string{"all", "big", "text"}, []string{"a", "b"}, json.RawMessage(`{"big": 123456789012345678901234567890 }`),
		map[string]json.RawMessage{"a": json.RawMessage(`[ 1.50 ]`), "b": json.RawMessage(`{"text":"\u003c<","more":1}`)})
	require.Equal(t, `{"all":[ 1.50 ],"big":123456789012345678901234567890,"text":"\u003c<"}`, string(got))
}
