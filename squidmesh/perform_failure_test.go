package squidmesh

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/encode"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

type cause struct{ err error }

func (e *cause) Error() string { return "cause" }

func (e *cause) Unwrap() error { return e.err }

type rude struct{}

func (rude) MarshalJSON() ([]byte, error) { panic("not me") }

func TestDescribe(t *testing.T) {
	t.Parallel()
	inner := errors.New("inner")
	for name, c := range map[string]struct {
		err  error
		want StepError
	}{
		"chain": {
			fmt.Errorf("outer: %w", fmt.Errorf("middle: %w", inner)),
			StepError{Message: "outer: middle: inner", Causes: []string{"middle: inner", "inner"}},
		},
		"marks are no causes": {Fail(WithCode("x", inner)), StepError{Code: "x", Message: "inner"}},
		"several": {
			errors.Join(inner, errors.New("other")),
			StepError{Message: "inner\nother", Causes: []string{"inner", "other"}},
		},
		"no code":       {WithCode("", inner), StepError{Message: "inner"}},
		"code with NUL": {WithCode("a\x00", inner), StepError{Code: `a\x00`, Message: "inner"}},
		"details": {
			fmt.Errorf("get: %w", WithDetails(map[string]any{"b": 1, "a": []string{"x"}}, inner)),
			StepError{Message: "get: inner", Causes: []string{"inner"}, Details: json.RawMessage(`{"a":["x"],"b":1}`)},
		},
		"outer details": {WithDetails(1, WithDetails(2, inner)), StepError{Message: "inner", Details: json.RawMessage(`1`)}},
		"details with NUL": {
			WithDetails(map[string]string{"k\x00": "a\x00\x1b\xff"}, inner),
			StepError{Message: "inner", Details: json.RawMessage(`{"k\\x00":"a\\x00\\x1b` + "\uFFFD" + `"}`)},
		},
		"details do not encode": {
			WithDetails(func() {}, inner),
			StepError{Message: "inner", Details: json.RawMessage(`{"omitted":"json: unsupported type: func()"}`)},
		},
		"details panic": {
			WithDetails(rude{}, inner),
			StepError{Message: "inner", Details: json.RawMessage(`{"omitted":"squidmesh.rude panicked: not me"}`)},
		},
		"details at the limit": {
			WithDetails(strings.Repeat("x", maxDetails-2), inner),
			StepError{Message: "inner", Details: encode.Quote(strings.Repeat("x", maxDetails-2))},
		},
		"details above it": {
			WithDetails(strings.Repeat("x", maxDetails-1), inner),
			StepError{Message: "inner", Details: json.RawMessage(`{"omitted":"8193 bytes are more than 8192"}`)},
		},
		"details above it once they are mended": {
			WithDetails(json.RawMessage(`"`+strings.Repeat("\xff", maxDetails/2)+`"`), inner),
			StepError{Message: "inner", Details: json.RawMessage(`{"omitted":"20482 bytes are more than 8192"}`)},
		},
		"details with one key twice": {
			WithDetails(json.RawMessage(`{"a":1,"b":{"c\u0000":1,"c\\x00":2},"a":[{"d":1,"d":3}]}`), inner),
			StepError{Message: "inner", Details: json.RawMessage(`{"a":[{"d":3}],"b":{"c\\x00":2}}`)},
		},
		"details too deep after much that is wrong": {
			WithDetails(json.RawMessage(`[`+strings.Repeat(`"\u0000",`, 200)+strings.Repeat("[", 65)+strings.Repeat("]", 66)), inner),
			StepError{Message: "inner", Details: json.RawMessage(`{"omitted":"objects and arrays nest deeper than 64"}`)},
		},
		"details that look sealed": {
			WithDetails(json.RawMessage(`{"z":1, "$sealed":{"key":"k","data":"AA=="}}`), inner),
			StepError{Message: "inner", Details: json.RawMessage(`{"omitted":"an object whose first key is \"$sealed\" is reserved for what a codec seals: wrap it in another object"}`)},
		},
		"details too deep": {
			WithDetails(json.RawMessage(strings.Repeat("[", 65)+strings.Repeat("]", 65)), inner),
			StepError{Message: "inner", Details: json.RawMessage(`{"omitted":"objects and arrays nest deeper than 64"}`)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.want.Code == "" {
				c.want.Code = flow.CodeError
			}
			require.Equal(t, c.want, failedWith(flow.Attempted{}, readable(c.err)).Error)
		})
	}
}

// Recorded texts end at their limits.
func TestDescribe_Limits(t *testing.T) {
	t.Parallel()
	for _, n := range []int{MaxMessage - 1, MaxMessage, MaxMessage + 1} {
		text := strings.Repeat("x", n)
		message := describe(flow.CodeError, errors.New(text)).Message
		if n <= MaxMessage {
			require.Equal(t, text, message)
		} else {
			require.Equal(t, text[:MaxMessage-3]+"...", message)
		}
	}
	err := errors.New("0")
	for i := range 2 * maxCauses {
		err = fmt.Errorf("%d: %w", i+1, err)
	}
	require.Len(t, describe(flow.CodeError, err).Causes, maxCauses)
}

// A nil pointer to an error type panics wherever it is looked at.
func TestReadable(t *testing.T) {
	t.Parallel()
	var none *cause
	plain := readable(none)
	require.False(t, errors.Is(plain, errNobodys))
	require.Equal(t, "cause", plain.Error())
	err := errors.New("fine")
	require.Same(t, err, readable(err))
	require.NoError(t, readable(nil))
}

func TestCodeOf(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]string{
		fmt.Errorf("run 1: %w", ErrNotFound):                  "not_found",
		&RefusedError{Err: ErrFinished}:                       "finished",
		&flow.UnsafeReplayError{}:                             "unsafe_replay",
		fmt.Errorf("%w: %w", ErrDispatch, errors.New("full")): "dispatch_failed",

		&InputError{}: "invalid_argument",
		fmt.Errorf("replay: %w", &PayloadError{}):      "invalid_payload",
		&DefinitionError{}:                             "invalid_definition",
		&ConfigError{Problems: []error{&InputError{}}}: "invalid_config",
		errors.New("foreign"):                          "",
	} {
		require.Equal(t, want, CodeOf(err), "%v", err)
	}
	require.Empty(t, CodeOf(nil))
}
