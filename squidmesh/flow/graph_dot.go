package flow

import (
	"strings"
)

// dot draws a spec in the language of Graphviz.
type dot struct {
	spec   *Spec
	status map[string]string // nil for a drawing without a run
}

func (d dot) draw(title string) string {
	var b onLines
	b.line(0, "digraph %s {", dotText(d.spec.workflow))
	b.line(1, "compound=true;")
	if title != "" {
		b.line(1, "label=%s;", dotText(title))
	}
	b.line(1, `node [shape=box, style="rounded,filled", fillcolor="#ffffff"];`)
	for _, st := range d.spec.steps {
		switch {
		case st.Block != "": // drawn with its block
		case st.Kind == KindBlock:
			b.line(1, "subgraph %s {", dotText("cluster_"+st.Name))
			b.line(2, "label=%s;", dotText(st.lines()...))
			if color, ok := d.color(st.Name); ok {
				b.line(2, `style=filled; fillcolor="%s";`, color)
			}
			for _, child := range st.Children {
				d.node(&b, 2, *d.spec.Find(child))
			}
			b.line(1, "}")
		default:
			d.node(&b, 1, st)
		}
	}
	b.line(1, "%s [shape=oval];", dotText(Complete))
	for _, l := range d.spec.links() {
		d.link(&b, l)
	}
	b.line(0, "}")
	return b.String()
}

func (d dot) node(b *onLines, depth int, st StepSpec) {
	attributes := "label=" + dotText(st.lines()...)
	switch st.Kind {
	case KindChoose:
		attributes += ", shape=diamond"
	case KindWait:
		attributes += ", shape=oval"
	case KindPause, KindApproval:
		attributes += ", shape=parallelogram"
	}
	if color, ok := d.color(st.Name); ok {
		attributes += `, fillcolor="` + color + `"`
	}
	b.line(depth, "%s [%s];", dotText(st.Name), attributes)
}

// link draws an arrow. One from or to a block is drawn between children and cut off at the block's border.
func (d dot) link(b *onLines, l link) {
	var attributes []string
	from, to := l.from, l.to
	if st := d.spec.Find(from); st != nil && st.Kind == KindBlock {
		from = st.Children[len(st.Children)-1]
		attributes = append(attributes, "ltail="+dotText("cluster_"+l.from))
	}
	if st := d.spec.Find(to); st != nil && st.Kind == KindBlock {
		to = st.Children[0]
		attributes = append(attributes, "lhead="+dotText("cluster_"+l.to))
	}
	if l.label != "" {
		attributes = append(attributes, "label="+dotText(l.label))
	}
	if l.failure {
		attributes = append(attributes, "style=dashed")
	}
	b.line(1, "%s -> %s [%s];", dotText(from), dotText(to), strings.Join(attributes, ", "))
}

func (d dot) color(step string) (string, bool) {
	if d.status == nil {
		return "", false
	}
	return statusColor(d.status[step]), true
}

// dotText quotes lines of text.
func dotText(lines ...string) string {
	escaped := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", " ", "\r", " ")
	var text []string
	for _, l := range lines {
		text = append(text, escaped.Replace(l))
	}
	return `"` + strings.Join(text, `\n`) + `"`
}
