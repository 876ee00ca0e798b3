package text

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
)

var nameForm = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// ValidName reports whether a workflow, trigger or step may bear the name. It fits into River's tags behind a prefix.
func ValidName(s string) bool {
	return len(s) <= 63 && nameForm.MatchString(s)
}

// Digest is a name made of parts, whatever is in them.
func Digest(parts ...string) string {
	for i, p := range parts {
		parts[i] = fmt.Sprintf("%d:%s", len(p), p)
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "|")))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
