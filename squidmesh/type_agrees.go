package squidmesh

import "fmt"

// agrees reports whether every value of type out reads as a value of type in, and means the same.
//
//   - Kinds are equal, or out is an integer and in a number.
//   - What is opaque is read by what is opaque alone: nothing is known of it. Anything can be read as opaque.
//   - What may be null is not read as what cannot: encoding/json would pass over the null and leave a zero value. It is
//     where the reader does without the key anyhow, for it cannot tell null from absent.
//   - An object has the fields that the other requires; what else it has is ignored. A map has no field for certain.
//   - A string with a format is a string, not the reverse. Widths of numbers are not compared.
func agrees(out, in Type) bool {
	return disagreement("", out, in) == ""
}

// disagreement says what stands in the way of agrees; empty for nothing. Path is the place within the value.
func disagreement(path string, out, in Type) string {
	switch {
	case in.Kind == kindAny:
		return ""
	case out.Kind == kindAny:
		return fmt.Sprintf("%s is opaque, read as %s", pathOr(path), in)
	case out.Nullable && !in.Nullable:
		return fmt.Sprintf("%s may be null, read as %s", pathOr(path), in)
	case out.Kind == kindInteger && in.Kind == kindNumber:
		return ""
	case out.Kind != in.Kind, out.Kind == kindString && in.Format != "" && out.Format != in.Format:
		return fmt.Sprintf("%s is %s, read as %s", pathOr(path), out, in)
	case out.Kind == kindArray:
		return disagreement(path+"[]", *out.Elem, *in.Elem)
	case out.Kind == kindObject:
		return disagreeingObject(path, out, in)
	default:
		return ""
	}
}

func disagreeingObject(path string, out, in Type) string {
	if in.Open {
		for _, f := range out.Fields {
			if s := disagreement(joinPath(path, f.Name), f.Type, *in.Elem); s != "" {
				return s
			}
		}
		if out.Open {
			return disagreement(path+"[]", *out.Elem, *in.Elem)
		}
		return ""
	}
	for _, f := range in.Fields {
		written, ok := out.field(f.Name)
		if !ok && out.Open {
			written, ok = Field{Name: f.Name, Type: *out.Elem}, true
		}
		if s := disagreeingField(path, written, ok, f); s != "" {
			return s
		}
	}
	return ""
}

// disagreeingField compares a key as it is written, if it is, with the field that reads it.
func disagreeingField(path string, written Field, ok bool, read Field) string {
	path = joinPath(path, read.Name)
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
	return disagreement(path, out, read.Type)
}

func pathOr(path string) string {
	if path == "" {
		return "it"
	}
	return path
}
