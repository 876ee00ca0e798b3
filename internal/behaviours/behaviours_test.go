// Package behaviours is the ledger of what became of each behaviour of the system that squidmesh re-implements. Its test holds the
// ledger to the tests that it names.
package behaviours

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// areas are the pages of the list of behaviours, and how many numbers each has.
var areas = []struct {
	letter, page string
	numbers      int
}{
	{"A", "definitions", 132},
	{"B", "executors", 33},
	{"C", "attempts", 71},
	{"D", "runs", 84},
	{"E", "failures", 62},
	{"F", "schedules", 18},
	{"G", "observing", 19},
	{"H", "tools", 14},
	{"L", "weaknesses", 60},
}

var (
	behaviour = regexp.MustCompile(`^\| ([A-Z])(\d+)([a-z]?) \| (.+) \| (.+) \|$`)
	evidence  = regexp.MustCompile("`((?:scenario|rule):[^`]+|[a-z0-9]+\\.(?:Test|Example|Fuzz)[^`]*)`")
	allOfIt   = regexp.MustCompile("^`[^`]+`(, `[^`]+`)*$")
)

// Each line of the list is shown by tests that exist, or says why squidmesh differs.
func TestBehaviours_AreShownOrDiffer(t *testing.T) {
	t.Parallel()
	known := readEvidence(t)
	for _, area := range areas {
		t.Run(area.page, func(t *testing.T) {
			t.Parallel()
			shown, differ := 0, 0
			last := label{}
			for i, line := range strings.Split(read(t, area.page+".md"), "\n") {
				if !strings.HasPrefix(line, "| "+area.letter) {
					require.NotRegexp(t, `^\| [A-Z]\d`, line, "line %d is of another area", i+1)
					continue
				}
				match := behaviour.FindStringSubmatch(line)
				require.NotNil(t, match, "line %d is no row of three cells: %s", i+1, line)
				number, err := strconv.Atoi(match[2])
				require.NoError(t, err)
				next := label{number, match[3]}
				require.True(t, next.follows(last), "%s%s comes after %s%s", area.letter, next, area.letter, last)
				last = next

				cell := match[5]
				reason, differs := strings.CutPrefix(cell, "differs: ")
				found := evidence.FindAllStringSubmatch(cell, -1)
				if differs {
					differ++
					require.Greater(t, len(reason), 10, "%s%s gives no reason", area.letter, next)
				} else {
					shown++
					require.Regexp(t, allOfIt, cell, "%s%s has neither a reason nor a list of tests", area.letter, next)
					require.Len(t, found, strings.Count(cell, "`")/2, "%s%s names what is no test, scenario or rule: %s", area.letter, next, cell)
				}
				for _, name := range found {
					require.NoError(t, known.find(name[1]), "%s%s", area.letter, next)
				}
			}
			require.Equal(t, area.numbers, last.number, "the last number of area %s", area.letter)
			t.Logf("%d are shown, %d differ", shown, differ)
		})
	}
}

// label is a number, and a letter where one number has several lines.
type label struct {
	number int
	letter string
}

func (l label) String() string { return fmt.Sprint(l.number) + l.letter }

// follows reports whether no number and no letter is left out between two labels.
func (l label) follows(last label) bool {
	if l.number == last.number {
		return last.letter != "" && l.letter != "" && l.letter[0] == last.letter[0]+1
	}
	return l.number == last.number+1 && (l.letter == "" || l.letter == "a")
}

// known is what a line can point to.
type known struct {
	declared map[string]*declared // in tests, by package and name; methods of one name are one
	rules    string
}

// declared is a function, method or table of the tests.
type declared struct {
	function bool            // and no method
	texts    map[string]bool // its string literals
	uses     []string        // what it names
}

// read takes in a declaration, or a part of one that has a name of its own.
func (d *declared) read(n ast.Node) {
	ast.Inspect(n, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Ident:
			d.uses = append(d.uses, n.Name)
		case *ast.BasicLit:
			if text, err := strconv.Unquote(n.Value); err == nil && n.Kind == token.STRING {
				d.texts[strings.TrimSuffix(text, "/")] = true
			}
		}
		return true
	})
}

const (
	root   = "../.." // of the module
	suites = "drivertest"
)

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

// readEvidence reads all tests of the module.
func readEvidence(t *testing.T) known {
	t.Helper()
	k := known{
		declared: map[string]*declared{},
		rules:    read(t, filepath.Join(root, "squidmesh", "flow", "property_invariants_test.go")),
	}
	dirs := map[string]string{}
	require.NoError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		pkg := filepath.Base(filepath.Dir(path))
		switch {
		case err != nil:
			return err
		case entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && path != root:
			return filepath.SkipDir
		case !strings.HasSuffix(path, "_test.go") && !(pkg == suites && strings.HasSuffix(path, ".go")):
			return nil
		}
		dir := filepath.Dir(path)
		if other := dirs[pkg]; other != "" && other != dir {
			return fmt.Errorf("both %s and %s have tests, and the same name", other, dir)
		}
		dirs[pkg] = dir
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				d := k.declare(pkg, decl.Name.Name)
				d.function = d.function || decl.Recv == nil
				d.read(decl)
			case *ast.GenDecl:
				for _, spec := range decl.Specs {
					if values, ok := spec.(*ast.ValueSpec); ok {
						for _, name := range values.Names {
							k.declare(pkg, name.Name).read(values)
						}
					}
				}
			}
		}
		return nil
	}))
	return k
}

func (k known) declare(pkg, name string) *declared {
	key := pkg + "." + name
	if k.declared[key] == nil {
		k.declared[key] = &declared{texts: map[string]bool{}}
	}
	return k.declared[key]
}

// writes reports whether a text stands in a function, in what it uses of its package's tests or of a suite, and so on.
func (k known) writes(pkg, function, text string) bool {
	seen := map[string]bool{}
	for next := []string{pkg + "." + function}; len(next) > 0; next = next[1:] {
		d := k.declared[next[0]]
		if d == nil || seen[next[0]] {
			continue
		}
		seen[next[0]] = true
		if d.texts[text] {
			return true
		}
		from, _, _ := strings.Cut(next[0], ".")
		for _, name := range d.uses {
			next = append(next, from+"."+name, suites+"."+name)
		}
	}
	return false
}

// find reports what is missing of a scenario, a rule of the properties, or a test with its subtests. The name of a subtest must be
// written in the test, or in what it uses of its package's tests or of a suite.
func (k known) find(name string) error {
	if script, ok := strings.CutPrefix(name, "scenario:"); ok {
		found, _ := filepath.Glob(filepath.Join(root, "testdata", "scenarios", script))
		if len(found) != 1 {
			return fmt.Errorf("there is no scenario %s", script)
		}
		return nil
	}
	if rule, ok := strings.CutPrefix(name, "rule:"); ok {
		if !strings.Contains(k.rules, `{"`+rule+`", rule`) {
			return fmt.Errorf("there is no rule %q", rule)
		}
		return nil
	}
	parts := strings.Split(name, "/")
	if d := k.declared[parts[0]]; d == nil || !d.function {
		return fmt.Errorf("there is no function %s", parts[0])
	}
	pkg, function, _ := strings.Cut(parts[0], ".")
	if i := slices.IndexFunc(parts[1:], func(part string) bool { return !k.writes(pkg, function, part) }); i >= 0 {
		return fmt.Errorf("there is no subtest %q of %s", parts[1+i], parts[0])
	}
	return nil
}
