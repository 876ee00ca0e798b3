package nearest

import (
	"fmt"

	"github.com/squidmesh/squidmesh-go/internal/echo"
)

// Hint is `, did you mean "x"?` for the nearest candidate, or empty if none is close.
func Hint(name string, candidates []string) string {
	if best, ok := Name(name, candidates); ok {
		return fmt.Sprintf(", did you mean %s?", echo.Quote(best))
	}
	return ""
}
