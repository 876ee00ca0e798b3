package squidmesh

import (
	"fmt"

	"github.com/squidmesh/squidmesh-go/internal/echo"
	"github.com/squidmesh/squidmesh-go/internal/nearest"
)

// didYouMean is `, did you mean "x"?` for the nearest candidate, or empty if none is close.
func didYouMean(name string, candidates []string) string {
	if best, ok := nearest.Name(name, candidates); ok {
		return fmt.Sprintf(", did you mean %s?", echo.Quote(best))
	}
	return ""
}
