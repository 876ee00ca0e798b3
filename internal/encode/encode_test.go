package encode

import (
	"encoding/json"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// marked writes itself by a method of its pointer, the way many do: with json.Marshal.
type marked struct{ text string }

func (m *marked) MarshalJSON() ([]byte, error) { return json.Marshal("m:" + m.text) }

func TestJSON(t *testing.T) {
	t.Parallel()
	n := *big.NewInt(12)
	for name, tc := range map[string]struct {
		value any
		want  string
	}{
		"nothing":                 {nil, `null`},
		"HTML":                    {"<a href='?x&y'>", `"<a href='?x&y'>"`},
		"big.Int":                 {n, `12`},
		"pointer":                 {&n, `12`},
		"nil pointer":             {(*big.Int)(nil), `null`},
		"nil map":                 {map[string]int(nil), `null`},
		"field":                   {struct{ N big.Int }{n}, `{"N":12}`},
		"embedded":                {struct{ *marked }{&marked{"x"}}, `"m:x"`},
		"elements":                {[2]big.Int{n, n}, `[12,12]`},
		"method":                  {marked{"<&>"}, `"m:<&>"`},
		"method, behind an array": {[]marked{{"<"}, {"&"}}, `["m:<","m:&"]`},
		"raw":                     {json.RawMessage(`{"a": "\u003C\u003e\u0026 \\u003c \\\u003c \u003d \u2028"}`), `{"a":"<>& \\u003c \\< \u003d \u2028"}`},
		"quotes are no HTML":      {json.RawMessage(`"\u0022\u0027"`), `"\u0022\u0027"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := JSON(tc.value)
			require.NoError(t, err)
			require.Equal(t, tc.want, string(got))
		})
	}
	_, err := JSON(make(chan int))
	require.Error(t, err)
}

// What is written means what json.Marshal wrote, and is never longer.
func TestJSON_MeansTheSame(t *testing.T) {
	t.Parallel()
	text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[\\u0-3<>&"'a-f]{0,20}`))
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.MapOf(text, rapid.SliceOf(text)).Draw(t, "value")
		got, err := JSON(value)
		require.NoError(t, err)
		want, err := json.Marshal(value)
		require.NoError(t, err)
		require.JSONEq(t, string(want), string(got))
		require.LessOrEqual(t, len(got), len(want))
		raw, err := JSON(json.RawMessage(want))
		require.NoError(t, err)
		require.Equal(t, string(got), string(raw))
	})
}
