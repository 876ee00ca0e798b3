package flow

import (
	"strconv"
	"strings"

	"github.com/squidmesh/squidmesh-go/internal/encode"
)

// mermaid draws a spec as a Mermaid flowchart.
type mermaid struct {
	spec   *Spec
	status map[string]string // nil for a drawing without a run
}

func (m mermaid) draw(title string) string {
	var b onLines
	if title != "" {
		b.line(0, "---")
		b.line(0, "title: %s", encode.Quote(title))
		b.line(0, "---")
	}
	b.line(0, "flowchart TD")
	for _, st := range m.spec.steps {
		switch {
		case st.Block != "": // drawn with its block
		case st.Kind == KindBlock:
			b.line(1, "subgraph %s[%s]", mermaidID(st.Name), mermaidText(st.lines()...))
			for _, child := range st.Children {
				m.node(&b, 2, *m.spec.Find(child))
			}
			b.line(1, "end")
		default:
			m.node(&b, 1, st)
		}
	}
	b.line(1, "%s([%s])", mermaidID(Complete), mermaidText(Complete))
	for _, l := range m.spec.links() {
		arrow := "-->"
		if l.failure {
			arrow = "-.->"
		}
		if l.label != "" {
			arrow += "|" + mermaidText(l.label) + "|"
		}
		b.line(1, "%s %s %s", mermaidID(l.from), arrow, mermaidID(l.to))
	}
	m.classes(&b)
	return b.String()
}

func (m mermaid) node(b *onLines, depth int, st StepSpec) {
	left, right := "[", "]"
	switch st.Kind {
	case KindChoose:
		left, right = "{", "}"
	case KindWait:
		left, right = "([", "])"
	case KindPause, KindApproval:
		left, right = "[/", "/]"
	}
	b.line(depth, "%s%s%s%s", mermaidID(st.Name), left, mermaidText(st.lines()...), right)
}

func (m mermaid) classes(b *onLines) {
	if m.status == nil {
		return
	}
	for _, c := range statusColors {
		var ids []string
		for _, st := range m.spec.steps {
			if m.status[st.Name] == c.status {
				ids = append(ids, mermaidID(st.Name))
			}
		}
		if len(ids) > 0 {
			b.line(1, "classDef %s fill:%s,stroke:#555555,color:#000000", c.status, c.color)
			b.line(1, "class %s %s", strings.Join(ids, ","), c.status)
		}
	}
}

// mermaidID keeps names apart from Mermaid's words, such as end.
func mermaidID(name string) string { return "s_" + name }

// mermaidText quotes lines of text so that nothing in them is markup.
func mermaidText(lines ...string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i, l := range lines {
		if i > 0 {
			b.WriteString("<br/>")
		}
		for _, r := range l {
			switch {
			case r == '\n' || r == '\r' || r == '\t':
				b.WriteByte(' ')
			case strings.ContainsRune("\"#&<>`\\;|*[]{}()", r):
				b.WriteString("#" + strconv.Itoa(int(r)) + ";")
			case r >= ' ':
				b.WriteRune(r)
			}
		}
	}
	b.WriteByte('"')
	return b.String()
}
