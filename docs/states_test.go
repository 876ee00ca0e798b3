package docs

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
	"github.com/squidmesh/squidmesh-go/squidmesh/squidmeshtest"
)

// Every arrow of the state diagrams happens, in the scripts of one run each that stand in testdata/scenarios. That none is missing is a rule
// of package squidmesh's properties, "statuses change as drawn".
func TestStates_ArrowsHappen(t *testing.T) {
	t.Parallel()
	scripts, err := filepath.Glob("../testdata/scenarios/*.txt")
	require.NoError(t, err)
	happened := map[string]bool{"A run: paused --> failed": expires(t)}
	for _, path := range scripts {
		script := read(t, path)
		if len(regexp.MustCompile(`(?m)^start `).FindAllString(script, -1)) != 1 || regexp.MustCompile(`(?m)^(replay|cron) `).MatchString(script) {
			continue // which run a line is about is not said
		}
		was := map[string]string{}
		for _, line := range strings.Split(regexp.MustCompile(`\([^()]*\)`).ReplaceAllString(script, ""), "\n") {
			_, changes, _ := strings.Cut(line, ": ")
			for _, change := range regexp.MustCompile(`[,;] `).Split(changes, -1) {
				row := regexp.MustCompile(`^(undo |run )?(\w*?) ?(pending|scheduled|running|retrying|paused|cancelling|compensating|completed|failed|cancelled)\b`).FindStringSubmatch(change)
				if row == nil {
					continue
				}
				heading := map[string]string{"run ": "A run", "undo ": "An undo", "": "A step"}[row[1]]
				before := was[row[1]+row[2]]
				if before == "" {
					before = "[*]"
				}
				happened[heading+": "+before+" --> "+row[3]] = true
				was[row[1]+row[2]] = row[3]
			}
		}
	}
	arrows := 0
	for _, section := range strings.Split(read(t, "states.md"), "\n## ")[1:] {
		heading, text, _ := strings.Cut(section, "\n")
		for _, arrow := range regexp.MustCompile(`(?m)^    (\S+ --> \w+) :`).FindAllStringSubmatch(text, -1) {
			arrows++
			require.True(t, happened[strings.Replace(heading, "A block", "A step", 1)+": "+arrow[1]], "%s: %s", heading, arrow[1])
		}
	}
	require.Greater(t, arrows, 40)
}

// expires lets the deadline of a decision pass that has no route.
func expires(t *testing.T) bool {
	t.Helper()
	kit := squidmeshtest.New(t, oneStep[Order]("ask", squidmesh.Step{Name: "ask", Do: squidmesh.Pause(), Timeout: time.Hour}))
	run := kit.Start("ask", Order{ID: "1001"})
	require.Equal(t, squidmesh.RunPaused, run.Status())
	kit.Advance(2 * time.Hour)
	return run.Status() == squidmesh.RunFailed
}

// How long a take-over takes is counted from the lease and the heartbeat, which is also how often a worker looks for lost ones.
func TestStates_CountTheTakeOver(t *testing.T) {
	t.Parallel()
	require.Equal(t, time.Second, flow.DefaultHeartbeat, "the pages say once a second")
	lease, heartbeat := int(pgstore.DefaultLease/time.Second), int(flow.DefaultHeartbeat/time.Second)
	least, most := lease-heartbeat, lease+heartbeat

	page := read(t, "states.md")
	require.Contains(t, page, fmt.Sprintf("renew a lease of %d s once a second", lease))
	require.Contains(t, page, fmt.Sprintf("%d s less %d s | %d s at least |", lease, heartbeat, least))
	require.Contains(t, page, fmt.Sprintf("%d s and %d s | %d s at most |", lease, heartbeat, most))
	require.Contains(t, page, fmt.Sprintf("heartbeat, lease until %d s from now", lease))
	require.Contains(t, page, fmt.Sprintf("%d to %d s after the death: A's lease has run out", least, lease))
	require.Contains(t, page, fmt.Sprintf("%d to %d s after the death\n", least, most))

	words := map[int]string{3: "three", 4: "four", 5: "five", 6: "six"}
	for _, other := range []string{"comparison.md", "from_river.md", "patterns.md", "production.md"} {
		require.Contains(t, read(t, other), words[least]+" to "+words[most]+" seconds", other)
	}
}
