package jsontype

import (
	"cmp"
	"fmt"
)

// agrees reports whether every value of type out reads as a value of type in, and means the same.
//
//   - Kinds are equal, or out is an integer and in a number. Every value of a number's width fits into the other one, without being
//     rounded.
//   - What is opaque is read by what is opaque alone: nothing is known of it. Anything can be read as opaque.
//   - What may be null is not read as what cannot: encoding/json would pass over the null and leave a zero value. It is
//     where the reader does without the key anyhow, for it cannot tell null from absent.
//   - An object has the fields that the other requires; what else it has is ignored. A map has no field for certain.
//   - A string with a format is a string, not the reverse.
func agrees(out, in Type) bool {
	return Disagreement("", out, in) == ""
}

// Disagreement says why what is written as out cannot be read as in. It is empty if it can. Path is the place within the value.
func Disagreement(path string, out, in Type) string {
	switch {
	case in.Kind == Any, in.Kind == None, out.Kind == None: // of which the last are problems by themselves
		return ""
	case out.Kind == Any:
		return fmt.Sprintf("%s is opaque, read as %s", pathOr(path), in)
	case out.Nullable && !in.Nullable:
		return fmt.Sprintf("%s may be null, read as %s", pathOr(path), in)
	case out.numeric() && in.numeric():
		if why := narrower(out, in); why != "" {
			return fmt.Sprintf("%s is %s, read as %s%s", pathOr(path), out, in, why)
		}
		return ""
	case out.Kind != in.Kind:
		return fmt.Sprintf("%s is %s, read as %s", pathOr(path), out, in)
	case out.Kind == String:
		if !formatAgrees(out.Format, in.Format) {
			return fmt.Sprintf("%s is %s, read as %s", pathOr(path), out, in)
		}
		return ""
	case out.Kind == Array:
		return Disagreement(path+"[]", *out.Elem, *in.Elem)
	case out.Kind == Object:
		return disagreeingObject(path, out, in)
	default:
		return ""
	}
}

func (t *Type) numeric() bool { return t.Kind == Integer || t.Kind == Number }

// narrower says why numbers of out may not be what in makes of them; empty if all are.
func narrower(out, in Type) string {
	switch {
	case out.Kind == Number && in.Kind == Integer:
		return ", which has no fractions"
	case in.Format == formatDecimal:
		return ""
	case out.Format == formatDecimal:
		return ", which does not hold every number: read it as json.Number"
	case in.Kind == Integer:
		switch {
		case !out.unsigned() && in.unsigned():
			return ", which is never negative"
		case out.unsigned() && !in.unsigned() && out.bits() == in.bits(), out.bits() > in.bits():
			return ", which does not hold every one"
		}
		return ""
	case out.digits() > in.digits():
		return ", which rounds: read it as an integer or json.Number"
	default:
		return ""
	}
}

// digits are the binary digits of a number, of which an integer of 32 bits fits into a float64.
func (t *Type) digits() int {
	switch {
	case t.Kind == Integer:
		return t.bits()
	case t.Format == formatFloat32:
		return 24
	default:
		return 53
	}
}

// formatAgrees compares the formats of strings.
func formatAgrees(out, in string) bool {
	if in == "" || out == in {
		return true
	}
	was, quoted := inQuotes(out)
	is, reads := inQuotes(in)
	return quoted && reads && agrees(was, is)
}

func disagreeingObject(path string, out, in Type) string {
	if in.Open {
		for _, f := range out.Fields {
			if s := Disagreement(JoinPath(path, f.Name), f.Type, *in.Elem); s != "" {
				return s
			}
		}
		switch {
		case !formatAgrees(out.Keys, in.Keys), !out.Open && in.Keys != "" && len(out.Fields) > 0:
			return fmt.Sprintf("the keys of %s are %s, read as %s", pathOr(path), cmp.Or(out.Keys, String), in.Keys)
		case out.Open:
			return Disagreement(path+"[]", *out.Elem, *in.Elem)
		}
		return ""
	}
	for _, f := range in.Fields {
		written, ok := out.Field(f.Name)
		if !ok && out.Open {
			written, ok = Field{Name: f.Name, Type: *out.Elem}, true
		}
		if s := DisagreeingField(path, written, ok, f); s != "" {
			return s
		}
	}
	return ""
}

// DisagreeingField compares a key as it is written, if it is, with the field that reads it.
func DisagreeingField(path string, written Field, ok bool, read Field) string {
	path = JoinPath(path, read.Name)
	switch {
	case !read.Required && !ok:
		return ""
	case !ok:
		return fmt.Sprintf("%s is missing", path)
	case read.Required && !written.Required:
		return fmt.Sprintf("%s may be missing", path)
	}
	out := written.Type
	if !read.Required {
		out.Nullable = false
	}
	return Disagreement(path, out, read.Type)
}

func pathOr(path string) string {
	if path == "" {
		return "it"
	}
	return path
}
