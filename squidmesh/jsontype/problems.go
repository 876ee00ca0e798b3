package jsontype

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/squidmesh/squidmesh-go/internal/nearest"
)

// What is told of one value that is wrong, whatever it is: who sends it decides how much is wrong with it.
const (
	MaxProblems    = 100
	maxSuggestions = 5
	MaxPath        = 256     // bytes
	MaxProblemText = 8 << 10 // bytes of the text of an error
)

// problemList gathers what is wrong within a value, and knows where in it one is. A place becomes text only when it is reported.
type problemList struct {
	problems  []FieldProblem
	suggested int
	path      []pathStep
}

// pathStep is a key of an object, or an index of an array.
type pathStep struct {
	key   string
	index int    // below zero for a key
	text  string // as a part of a path, once it was asked for
}

func (l *problemList) push(s pathStep) { l.path = append(l.path, s) }

func (l *problemList) pop() { l.path = l.path[:len(l.path)-1] }

// full reports whether no more is told.
func (l *problemList) full() bool { return len(l.problems) >= MaxProblems }

// report adds what is wrong where the walk is.
func (l *problemList) report(code, detail string) {
	if !l.full() {
		l.problems = append(l.problems, FieldProblem{l.place(), code, detail})
	}
}

// suggest is [nearest.Hint] for the first few.
func (l *problemList) suggest(name string, candidates []string) string {
	if l.full() || l.suggested == maxSuggestions {
		return ""
	}
	l.suggested++
	return nearest.Hint(name, candidates)
}

// place is the path as text, such as lines[2].isbn. Of a long one it has the beginning and the end.
func (l *problemList) place() string {
	var b strings.Builder
	for i := range l.path {
		s := &l.path[i]
		switch {
		case s.text != "":
		case s.index < 0:
			s.text = pathKey(s.key)
		default:
			s.text = "[" + strconv.Itoa(s.index) + "]"
		}
		if b.Len() > 0 && s.text[0] != '[' {
			b.WriteByte('.')
		}
		b.WriteString(s.text)
	}
	path := b.String()
	if len(path) <= MaxPath {
		return path
	}
	const half = (MaxPath - len("...")) / 2
	head, tail := half, len(path)-half
	for !utf8.RuneStart(path[head]) {
		head--
	}
	for !utf8.RuneStart(path[tail]) {
		tail++
	}
	return path[:head] + "..." + path[tail:]
}
