package squidmesh

import (
	"encoding/json"
	"errors"
	"math/big"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh/jsontype"
)

// isbn is a type of a user's that reads itself from text, and does not expect an empty one.
type isbn string

func (i *isbn) UnmarshalText(text []byte) error {
	if text[0] != '9' {
		return errors.New("an ISBN begins with 978 or 979,\nnot so")
	}
	*i = isbn(text)
	return nil
}

func (i isbn) MarshalText() ([]byte, error) { return []byte(i), nil }

// pair reads itself from JSON, and wants all of it.
type pair struct{ a, b json.RawMessage }

func (p *pair) UnmarshalJSON(data []byte) error {
	var both map[string]json.RawMessage
	if err := json.Unmarshal(data, &both); err != nil {
		return err
	}
	if p.a, p.b = both["a"], both["b"]; p.a == nil || p.b == nil {
		return errors.New("a pair has two")
	}
	return nil
}

func (p pair) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]json.RawMessage{"a": p.a, "b": p.b})
}

type day struct{ at time.Time }

func (d *day) UnmarshalText(text []byte) (err error) {
	d.at, err = time.Parse(time.DateOnly, string(text))
	return err
}

func (d day) MarshalText() ([]byte, error) { return []byte(d.at.Format(time.DateOnly)), nil }

type shelf struct {
	Books  []book          `json:"books,omitempty"`
	Prices map[isbn]string `json:"prices,omitempty"`
}

type book struct {
	ISBN isbn `json:"isbn"`
}

type ownReaders struct {
	ID      uuid.UUID           `json:"id,omitzero"`
	Address *netip.Addr         `json:"address,omitzero"`
	Amount  *big.Int            `json:"amount,omitzero"`
	Shelf   shelf               `json:"shelf,omitzero"`
	Pairs   map[string]pair     `json:"pairs,omitzero"`
	Moved   [2]isbn             `json:"moved,omitzero"`
	Day     day                 `json:"day,omitzero"`
	Open    any                 `json:"open,omitzero"`
	Long    map[string]struct{} `json:"long,omitzero"`
}

// What the contract's own types do not read is refused at the start, and told with its place, as no step could read it later.
func TestAccept_AsksTypesThatReadThemselves(t *testing.T) {
	t.Parallel()
	spec, err := Compile(on(Manual("s", Payload[ownReaders]())))
	require.NoError(t, err)
	decodes := Payload[ownReaders]().decodes()
	for _, c := range []struct {
		payload string
		want    []string // field: detail
	}{
		{`{"id":"0190b0a0-0000-7000-8000-000000000000","address":"::1","amount":12345678901234567890,"day":"2026-01-02"}`, nil},
		{`{"shelf":{"books":[{"isbn":"978"}],"prices":{"979":""}},"pairs":{"x":{"a":1,"b":null}},"moved":["9","9"],"open":1e300}`, nil},
		{`{"id":"abc"}`, []string{"id: it cannot be decoded: invalid UUID length: 3"}},
		{`{"address":"1.2.3","id":"abc","amount":"x"}`, []string{"address: ", "id: ", "amount: "}},
		{`{"day":"2026-01-02T00:00:00Z"}`, []string{"day: "}},
		{
			`{"shelf":{"books":[{"isbn":"978"},{"isbn":"1"},{"isbn":"979"},{"isbn":""}]},"open":[1]}`,
			[]string{`shelf.books[1].isbn: it cannot be decoded: an ISBN begins with 978 or 979,\nnot so`, "shelf.books[3].isbn: it cannot be decoded: panicked: runtime error: index out of range"},
		},
		{`{"shelf":{"prices":{"978":"","1":"x"}}}`, []string{`shelf.prices["1"]: `}},
		{`{"pairs":{"x":{"a":1,"b":2},"y":{"a":1}}}`, []string{"pairs.y: it cannot be decoded: a pair has two"}},
		{`{"moved":["9","1"]}`, []string{"moved[1]: "}},
	} {
		_, err := acceptPayload(spec.Triggers()[0], json.RawMessage(c.payload), decodes)
		if c.want == nil {
			require.NoError(t, err, c.payload)
			continue
		}
		requireCleanPayloadError(t, err)
		var wrong *PayloadError
		require.ErrorAs(t, err, &wrong)
		require.Len(t, wrong.Problems, len(c.want), err.Error())
		for i, p := range wrong.Problems {
			require.Equal(t, "wrong_format", p.Code)
			require.True(t, strings.HasPrefix(p.Error(), c.want[i]), p.Error())
		}
	}
}

// However much is wrong, a hundred problems are told, and soon.
func TestAccept_TellsOfManyThatDoNotDecode(t *testing.T) {
	t.Parallel()
	spec, err := Compile(on(Manual("s", Payload[shelf]())))
	require.NoError(t, err)
	payload := `{"books":[` + strings.Repeat(`{"isbn":"9"},`, 9000) + strings.Repeat(`{"isbn":"1"},`, 9000) + `{"isbn":"1"}]}`
	require.Less(t, len(payload), jsontype.MaxSize)
	start := time.Now()
	_, err = acceptPayload(spec.Triggers()[0], json.RawMessage(payload), Payload[shelf]().decodes())
	require.Less(t, time.Since(start), 10*time.Second)
	var wrong *PayloadError
	require.ErrorAs(t, err, &wrong)
	require.Len(t, wrong.Problems, jsontype.MaxProblems)
	require.Equal(t, "books[9000].isbn", wrong.Problems[0].Field)
	require.Equal(t, "books[9099].isbn", wrong.Problems[jsontype.MaxProblems-1].Field)
}

// A default that the field's type does not read is a problem of the definition.
func TestCompile_AsksTypesThatReadThemselvesAboutDefaults(t *testing.T) {
	t.Parallel()
	type contract struct {
		ID   uuid.UUID `json:"id"`
		Day  day       `json:"day"`
		Text string    `json:"text"`
	}
	good := Defaults{"id": "0190b0a0-0000-7000-8000-000000000000", "day": DefaultToday, "text": DefaultNow}
	spec, err := Compile(on(Manual("s", Payload[contract](good))))
	require.NoError(t, err)
	resolved, err := resolve(spec.Triggers()[0], nil, noon)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(resolved, new(contract)))
	for field, bad := range map[string]any{"id": "abc", "day": DefaultNow} {
		_, err := Compile(on(Manual("s", Payload[contract](good, Defaults{field: bad}))))
		require.ErrorContains(t, err, "cannot be decoded", field)
	}
	_, err = Compile(on(Manual("s", Payload[contract](good, Defaults{"id": DefaultToday}))))
	require.ErrorContains(t, err, `field "id": "2006-01-02" cannot be decoded: invalid UUID length: 10`)
}

func BenchmarkAccept(b *testing.B) {
	type order struct {
		ID    uuid.UUID `json:"id"`
		Name  string    `json:"name"`
		Lines []struct {
			ISBN  string `json:"isbn"`
			Count int    `json:"count"`
		} `json:"lines"`
	}
	spec, err := Compile(on(Manual("s", Payload[order]())))
	require.NoError(b, err)
	payload := json.RawMessage(`{"id":"0190b0a0-0000-7000-8000-000000000000","name":"Ann","lines":[{"isbn":"9780131103627","count":2}]}`)
	for name, decodes := range map[string]jsontype.DecodeCheck{"checked": Contract{}.decodes(), "checked and decoded": Payload[order]().decodes()} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, err := acceptPayload(spec.Triggers()[0], payload, decodes)
				require.NoError(b, err)
			}
		})
	}
}
