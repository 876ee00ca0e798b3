package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestTerminal(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"a\tb\n":              "a\tb\n",
		"größer 漢 👩‍🚀":        "größer 漢 👩‍🚀",
		"\x1b[2J\x1b]0;x\x07": `\u001b[2J\u001b]0;x\u0007`,
		"\u009b31m\x7f\r":     `\u009b31m\u007f\u000d`,
		"\u202egnp.exe":       `\u202egnp.exe`,
		"a\u2028b":            `a\u2028b`,
		"\x9b31m\xff":         "\ufffd31m\ufffd",
	} {
		var out shelf
		n, err := terminal{&out}.Write([]byte(in))
		require.NoError(t, err)
		require.Equal(t, len(in), n)
		require.Equal(t, want, out.String())
	}
}

// Whatever is printed, nothing of it acts, and JSON says the same as before.
func TestTerminal_AnyText(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")) + rapid.String().Draw(t, "text")
		inert(t, clean(in))
		encoded, err := json.Marshal(in)
		require.NoError(t, err)
		var back, before string
		require.NoError(t, json.Unmarshal(encoded, &before))
		require.NoError(t, json.Unmarshal([]byte(clean(string(encoded))), &back))
		require.Equal(t, before, back)
	})
}

// inert requires that a terminal only shows a text.
func inert(t require.TestingT, text string) {
	require.True(t, utf8.ValidString(text))
	for _, r := range text {
		if r != '\n' && r != '\t' {
			require.False(t, unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r), "%q in %q", r, text)
		}
	}
}

// evil is what a terminal would act on.
const evil = "\x1b[2J\u009b31m\u202e\r"

// Orders whose every text is hostile are refused or sold, and reported, and the terminal only shows it.
func TestRun_PrintsNothingThatActs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, evil+".json")
	quoted := func(s string) string {
		text, err := json.Marshal(s)
		require.NoError(t, err)
		return string(text)
	}
	const line = `"lines": [{"isbn": "9780134190440", "quantity": 1}], "card": "4242424242424242"`
	in := func(country string) string {
		return `"bill_to": {"city": "Berlin", "country": ` + country + `}, "ship_to": {"city": "Berlin", "country": ` + country + `}`
	}
	require.NoError(t, os.WriteFile(path, []byte(`[
		{"order": `+quoted("a"+evil)+`, `+line+`},
		{"order": "a\u200b1", `+line+`},
		{"order": "a-2", `+line+`, `+quoted(evil)+`: 1},
		{"order": "a-3", "customer": `+quoted("B")+`, `+line+`, `+in(quoted("D"+evil+"\nWRONG"))+`},
		{"order": "a-4", "customer": "C", `+line+`, `+in(`"DE"`)+`,
			"refund": {"reason": `+quoted("torn"+evil+"\nWRONG  a-4")+`, "decision": "approve"}},
		{"order": "a-5", "customer": `+quoted(evil)+`, `+line+`, `+in(`"DE"`)+`},
		{"order": "a-6", "customer": "D", "lines": [{"isbn": `+quoted("978\n"+evil)+`, "quantity": 1}], "card": "4242424242424242",
			`+in(`"DE"`)+`, "expect": {"status": `+quoted(evil+"\nWRONG")+`}}
	]`), 0o600))
	for _, args := range [][]string{{"--once"}, {"--once", "--json"}} {
		var stdout, stderr shelf
		require.Equal(t, 1, run(append(args, "--dir", dir, "--orders", path), "", nil, &stdout, &stderr))
		inert(t, stdout.String())
		inert(t, stderr.String())
		require.Contains(t, stderr.String(), `demo: order refused: a\u001b[2J\u009b31m\u202e\u000d: `)
		require.NotContains(t, stdout.String()+stderr.String(), "\nWRONG  a-4")
		require.Equal(t, 2, strings.Count(stdout.String()+stderr.String(), "\nWRONG"))
	}
	var stdout, stderr shelf
	require.Equal(t, 1, run([]string{"--" + evil}, "", nil, &stdout, &stderr))
	require.Equal(t, 1, run([]string{"--once", "--orders", evil}, "", nil, &stdout, &stderr))
	require.Equal(t, 1, run([]string{"--once"}, evil, nil, &stdout, &stderr))
	inert(t, stdout.String()+stderr.String())
	require.Contains(t, stderr.String(), `\u009b31m`)
}
