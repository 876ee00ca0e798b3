package driver

import (
	"slices"

	"github.com/squidmesh/squidmesh-go/internal/encode"
	"github.com/squidmesh/squidmesh-go/internal/envelope"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// UnsealedQuery says which stored values to seal, or to seal anew.
type UnsealedQuery struct {
	// Plain selects values in the clear that a [squidmesh.Codec] would have sealed. Keys selects values that keys of these ids
	// sealed.
	Plain bool
	Keys  []string

	// After is the run behind which to look, in the order of ids. Limit is how many runs to look at.
	After flow.RunID
	Limit int
}

// UnsealedPage answers an [UnsealedQuery].
type UnsealedPage struct {
	// Runs are the runs that have such a value, in the order of their ids. A store may name a run that has none.
	Runs []flow.RunID
	// Last is the last run that was looked at, or that of the query if there was none. More says that there may be others behind
	// it.
	Last flow.RunID
	More bool
}

// SealedValues are values that replace stored ones. Other fields of the rows do not count.
type SealedValues struct {
	Runs     []flow.Run           // Payload, KeyHash and Reason
	Attempts []flow.AttemptRecord // Error
	Audit    []flow.AuditEntry    // Data and Output
	Triggers []flow.TriggerState  // Comment
	Fires    []flow.Fire          // Comment
}

// Empty reports whether there is nothing to write.
func (v SealedValues) Empty() bool {
	return len(v.Runs)+len(v.Attempts)+len(v.Audit)+len(v.Triggers)+len(v.Fires) == 0
}

// Prefixes returns how values begin that one of the keys sealed.
func (q UnsealedQuery) Prefixes() []string {
	prefixes := make([]string, len(q.Keys))
	for i, key := range q.Keys {
		prefixes[i] = envelope.Start + `{"key":` + string(encode.Quote(key)) + `,`
	}
	return prefixes
}

// Selects reports whether a run has a value that the query selects. It is for stores that are no databases.
func (q UnsealedQuery) Selects(run flow.Run, history History) bool {
	return q.Wants(run.Payload) || q.Wants([]byte(run.KeyHash)) || q.WantsFailure(run.Reason) ||
		slices.ContainsFunc(history.Attempts, func(a flow.AttemptRecord) bool { return q.WantsFailure(a.Error) }) ||
		slices.ContainsFunc(history.Audit, func(e flow.AuditEntry) bool {
			return q.Wants(e.Output) || (envelope.Is(e.Data) || envelope.SaysSomething(e.Data)) && q.Wants(e.Data)
		})
}

// Wants reports whether the query selects a stored value.
func (q UnsealedQuery) Wants(value []byte) bool {
	switch {
	case len(value) == 0:
		return false
	case !envelope.Is(value):
		return q.Plain
	default:
		return slices.Contains(q.Keys, envelope.KeyOf(value))
	}
}

// WantsFailure reports whether the query selects a stored failure. E may be nil.
func (q UnsealedQuery) WantsFailure(e *flow.StepError) bool {
	switch {
	case e == nil:
		return false
	case !envelope.Unopened(e):
		return q.Plain
	default:
		return q.Wants(e.Details)
	}
}
