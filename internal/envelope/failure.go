package envelope

import (
	"encoding/json"
	"fmt"

	"github.com/squidmesh/squidmesh-go/internal/echo"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// Message stands for the message of a sealed error, whose details are the envelope.
const Message = "(sealed)"

// Unopened reports whether an error is one that this process could not open.
func Unopened(e *flow.StepError) bool {
	return e.Stored() != nil || Is(e.Details) && (e.Message == Message || e.Message == UnopenedMessage(e.Details))
}

// UnopenedMessage says to readers which key would open an error.
func UnopenedMessage(sealed json.RawMessage) string {
	return fmt.Sprintf("(sealed with key %s)", echo.Quote(KeyOf(sealed)))
}

// SaysSomething reports whether any of what an entry tells was said by a function or a person. Of one that is sealed it cannot tell.
func SaysSomething(data json.RawMessage) bool {
	var said struct{ Error, Comment, Metadata json.RawMessage }
	return json.Unmarshal(data, &said) == nil && (said.Error != nil || said.Comment != nil || said.Metadata != nil)
}
