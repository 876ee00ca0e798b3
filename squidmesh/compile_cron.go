package squidmesh

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/squidmesh/squidmesh-go/internal/echo"
)

// maxExpression bounds what is given to the parser, and maxParserError what is repeated of its errors, which repeat what they were given.
const (
	maxExpression  = 255
	maxParserError = 100
)

// parseCron reads a five-field expression or a descriptor. The schedule's Next answers in the location of the time that it
// is given, so pass it times in the trigger's zone.
func parseCron(expression string) (cron.Schedule, error) {
	if len(expression) > maxExpression {
		return nil, fmt.Errorf("the expression has %d bytes, at most %d are taken", len(expression), maxExpression)
	}
	if strings.Contains(expression, "TZ=") { // the parser panics on some, and the zone has a field of its own
		return nil, errors.New("the zone belongs into TimeZone, not into the expression")
	}
	schedule, err := cron.ParseStandard(expression)
	if err != nil {
		return nil, errors.New(clean(err.Error(), maxParserError))
	}
	if every, ok := strings.CutPrefix(expression, "@every "); ok {
		// The parser turns what is shorter than a second into a second, and drops fractions.
		if d, err := time.ParseDuration(every); err != nil || d < time.Second || d%time.Second != 0 {
			return nil, fmt.Errorf("%s is not a whole number of seconds above zero", echo.Quote(every))
		}
	}
	// Any day will do, since the parser looks five years ahead.
	if schedule.Next(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return nil, fmt.Errorf("%s never fires", echo.Quote(expression))
	}
	return schedule, nil
}
