package squidmesh

import (
	"errors"
)

// CodeOf is the stable code of an error that a public call returned: that of the sentinel that it wraps, or invalid_argument
// ([InputError]), invalid_payload ([PayloadError]), invalid_definition ([DefinitionError]) or invalid_config ([ConfigError]). It is
// empty for nil, and for errors that are not this package's: the context's, the database's, the executor's own.
func CodeOf(err error) string {
	var coded interface{ ErrorCode() string }
	if errors.As(err, &coded) {
		return coded.ErrorCode()
	}
	return ""
}
