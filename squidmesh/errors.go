package squidmesh

import (
	"errors"
)

// CodeOf returns the stable code of an error that a public call returned. It is that of the sentinel in it, or invalid_argument
// ([InputError]), invalid_payload ([PayloadError]), invalid_definition ([DefinitionError]) or invalid_config ([ConfigError]). It is
// empty for nil, and for errors of others: the context's, the database's, the executor's.
func CodeOf(err error) string {
	var coded interface{ ErrorCode() string }
	if errors.As(err, &coded) {
		return coded.ErrorCode()
	}
	return ""
}
