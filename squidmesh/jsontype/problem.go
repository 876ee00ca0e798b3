package jsontype

// FieldProblem is one thing that is wrong with a payload.
type FieldProblem struct {
	// Field is the place, such as lines[2].isbn. It is empty for the payload as a whole. A path of more than 256 bytes is cut to
	// its beginning and end.
	Field string

	// Code is stable: unknown_field, missing_field, wrong_type, wrong_format, out_of_range, null, duplicate_key, nul_character,
	// invalid_utf8, lone_surrogate, too_deep, too_large, not_an_object, invalid_json or trailing_data.
	Code string

	// Detail says what is wrong, and what was probably meant if something is close.
	Detail string
}

func (p FieldProblem) Error() string {
	if p.Field == "" {
		return p.Detail
	}
	return p.Field + ": " + p.Detail
}
