package jsontype

// FieldProblem is one thing that is wrong with a payload.
type FieldProblem struct {
	// Field is where, such as lines[2].isbn; empty for the payload as a whole. Of a path of more than 256 bytes it is the beginning
	// and the end.
	Field string

	// Code is stable: unknown_field, missing_field, wrong_type, wrong_format, out_of_range, null, duplicate_key, nul_character,
	// invalid_utf8, lone_surrogate, too_deep, too_large, not_an_object, invalid_json or trailing_data.
	Code string

	// Detail is what is wrong and, if something is close, what was probably meant.
	Detail string
}

func (p FieldProblem) Error() string {
	if p.Field == "" {
		return p.Detail
	}
	return p.Field + ": " + p.Detail
}
