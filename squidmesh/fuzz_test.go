package squidmesh

import (
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/envelope"
	"github.com/squidmesh/squidmesh-go/internal/schedule"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/jsontype"
)

// What parses is written again as the same delivery, and what does not is refused by name.
func FuzzParseDelivery(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `{"v":1,"kind":"step","run_id":"0190b0a0-0000-7000-8000-000000000000","step":"a","attempt":1}`,
		`{"v":1,"kind":"compensation","run_id":"0190b0a0-0000-7000-8000-000000000000"}`,
		`{"v":1,"kind":"cron","workflow":"a","trigger":"b","signal_id":"s","intended_window":{"start_at":"2026-01-01T00:00:00Z","end_at":"2026-01-02T00:00:00Z"}}`,
		`{"v":99,"kind":"step"}`, `{"v":1,"kind":"compensation","scope":"s","run_id":"0190b0a0-0000-7000-8000-000000000000"}`, `{"v":1,"kind":"step","run_id":"\u0000"}`, `[1e400]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := driver.ParseDelivery(data)
		if err != nil {
			requireCleanError(t, err)
			return
		}
		again, err := json.Marshal(d)
		require.NoError(t, err)
		same, err := driver.ParseDelivery(again)
		require.NoError(t, err)
		require.Equal(t, d, same)
	})
}

// allSorts has a field of each kind that encoding/json has rules for.
type allSorts struct {
	Any      any               `json:"any"`
	Map      map[string]any    `json:"map,omitempty"`
	Keys     map[int8]*float32 `json:"keys,omitempty"`
	List     []*allSorts       `json:"list,omitempty"`
	Pair     [2]uint16         `json:"pair,omitempty"`
	Raw      json.RawMessage   `json:"raw,omitempty"`
	Number   json.Number       `json:"number,omitempty"`
	Time     *time.Time        `json:"time,omitempty"`
	Bytes    []byte            `json:"bytes,omitempty"`
	QInt     int64             `json:"qint,omitempty,string"`
	QSmall   *int8             `json:"qsmall,omitempty,string"`
	QUint    uint64            `json:"quint,omitempty,string"`
	QFloat   float32           `json:"qfloat,omitempty,string"`
	QBool    bool              `json:"qbool,omitempty,string"`
	QText    string            `json:"qtext,omitempty,string"`
	QDecimal json.Number       `json:"qdecimal,omitempty,string"`
	ID       uuid.UUID         `json:"id,omitzero"`
	Big      *big.Int          `json:"big,omitempty"`
	Own      map[isbn][]pair   `json:"own,omitempty"`
	Day      day               `json:"day,omitzero"`
}

// Whatever bytes come, a payload is refused in clean and short text, or it is JSON that a step of its type reads, and that is taken again
// unchanged.
func FuzzResolve(f *testing.F) {
	spec, err := Compile(on(Manual("s", Payload[allSorts]())))
	require.NoError(f, err)
	trigger, decodes, decode := spec.Triggers()[0], Payload[allSorts]().decodes(), decoder[allSorts]()
	for _, seed := range []string{
		``, `{`, `{"any":[[],{},-0,1e9,true,"\ud83d\ude00"]}`, `{"any":1e400000}`, `{"any":{"a":[1e400]},"keys":{"1":null,"300":1}}`,
		`{"any":null,"qint":" 0","qsmall":"300","quint":"-1","qfloat":"1e39","qbool":"true ","qtext":"\"a\"","qdecimal":"1e400"}`,
		`{"any":1,"qsmall":"null","number":1e400,"time":"2026-01-02T03:04:05\u005a","bytes":"AQ==","pair":[1,2,3]}`,
		`{"any":0,"id":"abc","big":1e3,"own":{"1":[],"":null,"9":[{"a":1}]},"day":"2026-01-02T"}`,
		`{"any":0,"id":"0190b0a0-0000-7000-8000-000000000000","big":12345678901234567890,"own":{"9":[{"a":1,"b":2}]},"day":"2026-01-02"}`,
		`{"a":"\u0000\ud800","a":1} x`, `[[[[`, "{\"\xff\":\"\\\\\"}", `{"any":0,"list":[{"any":0,"list":[null]}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		resolved, err := resolveInto(trigger, decodes, payload, noon)
		if err != nil {
			requireCleanPayloadError(t, err)
			return
		}
		require.NoError(t, json.Unmarshal(payload, new(allSorts)))
		require.NoError(t, json.Unmarshal(resolved, new(allSorts)))
		_, err = decode(resolved)
		require.NoError(t, err)
		again, err := resolveInto(trigger, decodes, resolved, noon)
		require.NoError(t, err)
		require.Equal(t, string(resolved), string(again))
	})
}

// Whatever a function gives as details, what is recorded is JSON that any database takes, of a bounded size.
func FuzzDetails(f *testing.F) {
	for _, seed := range []string{`{"a":1,"a":2}`, `{"a\u0000":1,"a\\x00":2}`, `[[[`, `"\ud800"`, "\"\xff\"", `{"$sealed":{"key":"k","data":"AA=="}}`} {
		f.Add([]byte(seed))
	}
	f.Add([]byte(`"` + strings.Repeat("\x98", maxDetails/2) + `"`)) // which is longer once it is mended
	f.Fuzz(func(t *testing.T, data []byte) {
		details := encodeDetails(json.RawMessage(data))
		require.LessOrEqual(t, len(details), maxDetails)
		require.True(t, utf8.Valid(details))
		require.False(t, envelope.Is(details))
		_, problems := jsontype.Parse(details)
		require.Empty(t, problems)
		require.Equal(t, string(details), string(encodeDetails(details)))
	})
}

// A cursor is what a page gave, or is refused.
func FuzzDecodeCursor(f *testing.F) {
	f.Add(encodeCursor(driver.RunCursor{CreatedAt: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC), ID: uuid.MustParse("0190b0a0-0000-7000-8000-000000000000")}))
	f.Add("")
	f.Add("MjAyNi0wMS0wMiA")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := decodeCursor(text)
		if err == nil {
			require.Equal(t, text, encodeCursor(c))
		}
	})
}

// An expression is refused, or fires again and again, each time later.
func FuzzParseCron(f *testing.F) {
	for _, seed := range []string{"* * * * *", "@every 1s", "@hourly", "0 0 30 2 *", "61 * * * *", "TZ=UTC * * * * *", "*/0 * * * *", "1-0 * * * *"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, expression string) {
		schedule, err := schedule.Parse(expression)
		if err != nil {
			return
		}
		at := noon
		for range 3 {
			next := schedule.Next(at)
			if next.IsZero() {
				return // no later than five years ahead
			}
			require.True(t, next.After(at))
			at = next
		}
	})
}

// A definition of any names compiles or has problems, each with its code, and in clean text.
func FuzzCompile(f *testing.F) {
	f.Add("w", "t", "* * * * *", "UTC", "a", "b", "a", "out", "queue")
	f.Add("", "\x00", "@every 1h", "Mars/Phobos", "a", "complete", "graph", "\u202e", "Q")
	f.Fuzz(func(t *testing.T, workflow, trigger, cron, zone, step, next, after, output, queue string) {
		for _, w := range []Workflow{
			{Name: workflow, Description: after, Triggers: []Trigger{Cron(trigger, cron, zone, Contract{})}, Steps: []Step{
				{Name: step, Do: Choose(chooses[none]()), Routes: map[string]string{output: next}, Queue: queue, OnError: after},
				{Name: next, Do: Func(returns[none, int]()), Output: output, Description: queue},
			}},
			{Name: workflow, Triggers: []Trigger{Manual(trigger, Contract{})}, Steps: []Step{
				{Name: step, Do: Effect(does[none]()), After: []string{after}},
				{Name: after, Do: Effect(does[none]()), Recovery: Recovery(output)},
			}},
		} {
			spec, err := Compile(w)
			if err == nil {
				_, err := json.Marshal(spec)
				require.NoError(t, err)
				continue
			}
			var definition *DefinitionError
			require.True(t, errors.As(err, &definition))
			for _, p := range definition.Problems {
				require.NotEmpty(t, p.Code)
				require.NotEmpty(t, p.Detail)
				require.True(t, utf8.ValidString(p.String()))
			}
		}
	})
}

// requireCleanPayloadError checks what is told of a bad payload.
func requireCleanPayloadError(t *testing.T, err error) {
	t.Helper()
	var payload *PayloadError
	require.True(t, errors.As(err, &payload), "%v", err)
	require.LessOrEqual(t, len(payload.Problems), jsontype.MaxProblems)
	for _, p := range payload.Problems {
		require.NotEmpty(t, p.Code)
		require.NotEmpty(t, p.Detail)
		require.LessOrEqual(t, len(p.Field), jsontype.MaxPath)
		require.LessOrEqual(t, len(p.Detail), 300)
	}
	require.LessOrEqual(t, len(err.Error()), jsontype.MaxProblemText+100)
	require.True(t, utf8.ValidString(err.Error()))
	require.NotContains(t, err.Error(), "\x00")
}

// requireCleanError checks what is told of bad input: named, short, and text that goes anywhere.
func requireCleanError(t *testing.T, err error) {
	t.Helper()
	var input *InputError
	require.True(t, errors.As(err, &input), "%v", err)
	require.NotEmpty(t, input.Field)
	require.NotEmpty(t, input.Code)
	require.NotEmpty(t, input.Detail)
	require.LessOrEqual(t, len(err.Error()), 600)
	require.True(t, utf8.ValidString(err.Error()))
	require.NotContains(t, err.Error(), "\x00")
}
