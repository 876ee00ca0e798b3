package flow

import "encoding/json"

// Rewording says what is to stand in the place of a free text, one that a step, an error or an operator chose the words of. It is asked for
// empty ones too. What names or counts something is no free text; payloads, results and metadata are data, which only a codec may touch.
type Rewording func(field TextField, text string) string

// TextField says which free text one is. [squidmesh.Config.Redact] gets it as a string.
type TextField string

// The free texts.
const (
	TextCode    TextField = "code" // of a failure; programs tell failures apart by it
	TextMessage TextField = "message"
	TextCause   TextField = "cause"
	TextDetails TextField = "details" // JSON, and so must be what stands in its place
	TextStack   TextField = "stack"
	TextComment TextField = "comment" // of an operator, or why an attempt was given back
)

// Reword is an event with other free texts.
func Reword(e Event, say Rewording) Event {
	if reworded := e.traits().Reworded; reworded != nil {
		return reworded(say)
	}
	return e
}

// Reword is the failure with other texts. A cause that becomes empty goes.
func (e StepError) Reword(say Rewording) StepError {
	e.Code = say(TextCode, e.Code)
	e.Message = say(TextMessage, e.Message)
	e.Stack = say(TextStack, e.Stack)
	var causes []string
	for _, cause := range e.Causes {
		if cause = say(TextCause, cause); cause != "" {
			causes = append(causes, cause)
		}
	}
	e.Causes = causes
	if details := say(TextDetails, string(e.Details)); details != "" {
		e.Details = json.RawMessage(details)
	} else {
		e.Details = nil
	}
	return e
}

// Reword is the entry with other texts.
func (d AuditData) Reword(say Rewording) AuditData {
	if d.Error != nil {
		reworded := d.Error.Reword(say)
		d.Error = &reworded
	}
	d.Comment = say(TextComment, d.Comment)
	return d
}

func (e Failed) reworded(say Rewording) Event {
	e.Error = e.Error.Reword(say)
	return e
}

func (e Released) reworded(say Rewording) Event {
	e.Reason = say(TextComment, e.Reason)
	return e
}
