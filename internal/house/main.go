// Command house measures how the tree is built: packages and wings, what they export, how long their functions are, and which way they
// import and call. It is for whoever changes the structure: run it before and after, and compare.
//
//	go run ./internal/house
//
// A wing is what the files of a package share in their names up to the first underscore. Tests are left out.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const module = "github.com/squidmesh/squidmesh-go/"

// longFunction is from how many lines on a function is named.
const longFunction = 60

func main() {
	root := flag.String("root", ".", "the tree to measure")
	flag.Parse()
	h, err := measure(*root)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	h.print(os.Stdout)
}

// house is what was measured.
type house struct {
	packages map[string]*room // by directory
	wings    map[string]*room // by directory/prefix
	methods  map[string]int   // by directory.type
	public   map[string]int   // those of them that are exported
	long     []string
	arrows   map[[2]string]int // imports between packages, by how many files have them
	calls    map[[2]string]int // uses of names between wings of one package
}

// room is what is said of a package or a wing.
type room struct {
	files, lines, comments, exported int
}

// source is a parsed file.
type source struct {
	dir, wing string
	file      *ast.File
}

func measure(root string) (*house, error) {
	h := &house{
		packages: map[string]*room{}, wings: map[string]*room{}, methods: map[string]int{}, public: map[string]int{},
		arrows: map[[2]string]int{}, calls: map[[2]string]int{},
	}
	set := token.NewFileSet()
	var sources []source
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata"):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(set, path, text, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		wing, _, _ := strings.Cut(strings.TrimSuffix(d.Name(), ".go"), "_")
		s := source{filepath.ToSlash(rel), filepath.ToSlash(rel) + "/" + wing, file}
		sources = append(sources, s)
		h.add(set, s, string(text))
		return nil
	})
	if err != nil {
		return nil, err
	}
	h.link(sources)
	return h, nil
}

func at(rooms map[string]*room, name string) *room {
	if rooms[name] == nil {
		rooms[name] = &room{}
	}
	return rooms[name]
}

// add counts a file.
func (h *house) add(set *token.FileSet, s source, text string) {
	var lines, comments, exported int
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		lines += count(line != "")
		comments += count(strings.HasPrefix(line, "//"))
	}
	for _, decl := range s.file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if n := set.Position(d.End()).Line - set.Position(d.Pos()).Line + 1; n > longFunction {
				h.long = append(h.long, fmt.Sprintf("%s %s: %d lines", s.dir, d.Name.Name, n))
			}
			if d.Recv == nil {
				exported += count(d.Name.IsExported())
			} else {
				of := s.dir + "." + receiver(d.Recv.List[0].Type)
				h.methods[of]++
				h.public[of] += count(d.Name.IsExported())
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				for _, name := range names(spec) {
					exported += count(name.IsExported())
				}
			}
		}
	}
	for _, imported := range s.file.Imports {
		if to, ok := strings.CutPrefix(strings.Trim(imported.Path.Value, `"`), module); ok {
			h.arrows[[2]string{s.dir, to}]++
		}
	}
	for _, r := range []*room{at(h.packages, s.dir), at(h.wings, s.wing)} {
		r.files++
		r.lines, r.comments, r.exported = r.lines+lines, r.comments+comments, r.exported+exported
	}
}

// link counts which wings use which others of their package: by the names that these declare.
func (h *house) link(sources []source) {
	owner := map[[2]string]string{} // of a name within a directory
	for _, s := range sources {
		for _, decl := range s.file.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl: // a method goes by its name, too: two of one name are nobody's
				key := [2]string{s.dir, d.Name.Name}
				if other, taken := owner[key]; taken && other != s.wing {
					owner[key] = ""
				} else {
					owner[key] = s.wing
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					for _, name := range names(spec) {
						owner[[2]string{s.dir, name.Name}] = s.wing
					}
				}
			}
		}
	}
	for _, s := range sources {
		used := map[string]bool{}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok {
				if to := owner[[2]string{s.dir, id.Name}]; to != "" && to != s.wing {
					used[to] = true
				}
			}
			return true
		})
		for to := range used {
			h.calls[[2]string{s.wing, to}]++
		}
	}
}

// names are those that a declaration gives.
func names(spec ast.Spec) []*ast.Ident {
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		return []*ast.Ident{spec.Name}
	case *ast.ValueSpec:
		return spec.Names
	default:
		return nil
	}
}

// receiver is the name of a method's type.
func receiver(t ast.Expr) string {
	for {
		switch e := t.(type) {
		case *ast.StarExpr:
			t = e.X
		case *ast.IndexExpr:
			t = e.X
		case *ast.IndexListExpr:
			t = e.X
		case *ast.Ident:
			return e.Name
		default:
			return ""
		}
	}
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (h *house) print(w *os.File) {
	printRooms(w, "package", h.packages)
	inCore := map[string]*room{}
	for name, r := range h.wings {
		if strings.HasPrefix(name, "squidmesh/") && strings.Count(name, "/") == 1 {
			inCore[name] = r
		}
	}
	printRooms(w, "wing of squidmesh", inCore)

	fmt.Fprintln(w, "\nmethods of a type, and how many of them are exported: the twenty largest")
	types := slices.SortedFunc(maps.Keys(h.methods), func(a, b string) int {
		return cmp.Or(h.methods[b]-h.methods[a], strings.Compare(a, b))
	})
	for _, name := range types[:min(20, len(types))] {
		fmt.Fprintf(w, "%5d %5d  %s\n", h.methods[name], h.public[name], name)
	}

	fmt.Fprintf(w, "\nfunctions over %d lines\n", longFunction)
	slices.Sort(h.long)
	for _, line := range h.long {
		fmt.Fprintln(w, "      ", line)
	}

	fmt.Fprintln(w, "\nimports between packages, by how many files have them")
	printArrows(w, h.arrows)

	there := 0
	for arrow := range h.calls {
		if h.calls[[2]string{arrow[1], arrow[0]}] > 0 {
			there++
		}
	}
	fmt.Fprintf(w, "\nwings of one package that use another one: %d, of which %d pairs use each other\n", len(h.calls), there/2)
}

func printRooms(w *os.File, what string, rooms map[string]*room) {
	fmt.Fprintf(w, "\n%5s %6s %8s %9s  %s\n", "files", "lines", "comments", "exported", what)
	var sum room
	for _, name := range slices.Sorted(maps.Keys(rooms)) {
		r := rooms[name]
		printRoom(w, name, *r)
		sum = room{sum.files + r.files, sum.lines + r.lines, sum.comments + r.comments, sum.exported + r.exported}
	}
	printRoom(w, "all", sum)
}

func printRoom(w *os.File, name string, r room) {
	fmt.Fprintf(w, "%5d %6d %7.0f%% %9d  %s\n", r.files, r.lines, 100*float64(r.comments)/float64(max(r.lines, 1)), r.exported, name)
}

func printArrows(w *os.File, arrows map[[2]string]int) {
	for _, arrow := range slices.SortedFunc(maps.Keys(arrows), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }) {
		fmt.Fprintf(w, "%5d  %s -> %s\n", arrows[arrow], arrow[0], arrow[1])
	}
}
