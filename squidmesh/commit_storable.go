package squidmesh

import (
	"errors"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// storable returns the end of an attempt without what the database does not take, such as characters that its encoding lacks: a
// result becomes a failure, and a failure loses its texts. It does not say what the database refused, since errors about values
// quote them.
func storable(end flow.Event) flow.Event {
	if e, ok := end.(flow.Succeeded); ok {
		return flow.Failed{Attempted: e.Attempted, Final: true, Error: StepError{
			Code: flow.CodeInvalidOutput, Message: "the database cannot store the result: it has characters, numbers or a size that it does not take",
		}}
	}
	return flow.Reword(end, func(field flow.TextField, text string) string {
		switch {
		case field == flow.TextCode && isASCII(text):
			return text
		case field == flow.TextCode:
			return flow.CodeError
		case field == flow.TextMessage:
			return "(the database cannot store what the failure says)"
		case field == flow.TextComment:
			return "(the database cannot store why)"
		default:
			return ""
		}
	})
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// storeCode returns the database's code for an error whose text may quote a value.
func storeCode(err error) string {
	var said interface{ SQLState() string }
	if errors.As(err, &said) {
		return "SQLSTATE " + said.SQLState()
	}
	return "value refused"
}

// argument makes an [*InputError] if the database cannot store what a caller gave. It does not quote the value. Other errors stay
// as they are.
func (cm *committer[TTx]) argument(m *member, err error) error {
	if !unstorable(cm.traits, err) {
		return err
	}
	field := ""
	switch traits := flow.TraitsOf(m.event); {
	case traits.Stage == flow.StageStart:
		field = "StartParams"
	case traits.Command:
		field = "Decision"
	default:
		return err
	}
	return &InputError{Field: field, Code: "unstorable", Detail: "the database cannot store it (" + storeCode(err) +
		"): it has characters, numbers or a size that the database does not take, as others than UTF8 lack characters"}
}

// unstorable reports whether the store will never take what was to be written.
func unstorable(t driver.StoreTraits, err error) bool {
	return t.Unstorable != nil && t.Unstorable(err) && !errors.Is(err, ErrDispatch)
}
