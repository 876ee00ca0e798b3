package squidmesh

import "regexp"

var (
	nameForm  = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	queueForm = regexp.MustCompile(`^[a-z0-9]+([_-][a-z0-9]+)*$`)
)

// validName reports whether a workflow, trigger or step may bear the name.
func validName(s string) bool {
	return len(s) <= 63 && nameForm.MatchString(s)
}

// validQueue reports whether River takes a queue of that name.
func validQueue(s string) bool {
	return len(s) <= 64 && queueForm.MatchString(s)
}
