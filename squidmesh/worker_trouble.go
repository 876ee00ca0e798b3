package squidmesh

import (
	"errors"
	"fmt"
	"strings"
)

// trouble is one thing that a tick, or the pacer, could not look after. A later tick finds it again.
type trouble struct {
	what  string
	about []any // keys and values for a log line
	err   error
}

func (t trouble) Error() string {
	var b strings.Builder
	b.WriteString(t.what)
	for i := 0; i < len(t.about); i += 2 {
		fmt.Fprintf(&b, " %v=%v", t.about[i], t.about[i+1])
	}
	return b.String() + ": " + t.err.Error()
}

func (t trouble) Unwrap() error { return t.err }

// logTroubles logs troubles, a line for each.
func (wk *worker[TTx]) logTroubles(line string, troubles []trouble) {
	for _, t := range troubles {
		wk.logger.Warn(line, append([]any{"what", t.what, "error", t.err}, t.about...)...)
	}
}

// joinTroubles is all of them as one error; nil for none.
func joinTroubles(troubles []trouble) error {
	var all []error
	for _, t := range troubles {
		all = append(all, t)
	}
	return errors.Join(all...)
}
