package flow_test

import (
	"os"
	"regexp"
	"strings"
	"sync"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// drawn are the arrows of the state diagrams in docs/states.md, by the heading above each.
var drawn = sync.OnceValue(func() map[string]map[string]bool {
	page, err := os.ReadFile("../../docs/states.md")
	if err != nil {
		panic(err)
	}
	all := map[string]map[string]bool{}
	for _, section := range strings.Split(string(page), "\n## ")[1:] {
		heading, text, _ := strings.Cut(section, "\n")
		all[heading] = map[string]bool{}
		for _, arrow := range regexp.MustCompile(`(?m)^    (\S+) --> (\w+)`).FindAllStringSubmatch(text, -1) {
			all[heading][arrow[1]+" --> "+arrow[2]] = true
		}
	}
	return all
})

// ruleDrawn: statuses change as the state diagrams of the documentation show, and no other way.
func ruleDrawn(m *moment) string {
	if m.t.Empty() {
		return ""
	}
	goes := func(heading, before, after string) string {
		if before == "" {
			before = "[*]"
		}
		if arrow := before + " --> " + after; before != after && !drawn()[heading][arrow] {
			return say("docs/states.md has no arrow %q under %q", arrow, heading)
		}
		return ""
	}
	if complaint := goes("A run", string(m.before.Run.Status), string(m.after.Run.Status)); complaint != "" {
		return complaint
	}
	for _, c := range m.rows() {
		heading := "A step"
		if c.Phase == flow.PhaseUndo {
			heading = "An undo"
		} else if c.block {
			heading = "A block"
		}
		if complaint := goes(heading, string(c.before.Status), string(c.after.Status)); complaint != "" {
			return complaint
		}
	}
	return ""
}
