package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// told are the places in the code where a word is told to callers or recorded: calls and fields whose string that word is.
var (
	toldByCall  = map[string]int{"newSentinel": 0, "report": 0}
	toldByField = map[string]bool{"Code": true}
	toldByConst = regexp.MustCompile(`^(Code|Outcome)[A-Z]`)
	sentinel    = regexp.MustCompile(`^Err[A-Z]`)
	errorType   = regexp.MustCompile(`^[A-Z]\w*Error$`)
	word        = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*_?$`)
)

// Every error that a program can meet, and every code, stands in errors.md: a new one without a line there fails here.
func TestErrorsAreDocumented(t *testing.T) {
	t.Parallel()
	page := read(t, "errors.md")
	found := 0
	for _, dir := range []string{"squidmesh", "squidmesh/pgstore", "squidmesh/sqlitestore", "squidmesh/memstore", "riveradapter", "migrations", "invariants", "internal/sqltext"} {
		files, err := filepath.Glob("../" + dir + "/*.go")
		require.NoError(t, err)
		for _, path := range files {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			for _, name := range errorWords(t, path) {
				found++
				assert.True(t, strings.Contains(page, "`"+name+"`"), "%s: errors.md does not say what %s means", path, name)
			}
		}
	}
	require.Greater(t, found, 100)
}

// errorWords are the exported errors of a file, and the codes in it.
func errorWords(t *testing.T, path string) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	require.NoError(t, err)
	var words []string
	text := func(e ast.Expr) {
		if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if s, err := strconv.Unquote(lit.Value); err == nil && word.MatchString(s) {
				words = append(words, s)
			}
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if i, ok := toldByCall[called(n)]; ok && len(n.Args) > i {
				text(n.Args[i])
				if called(n) == "report" && len(n.Args) > 1 {
					text(n.Args[1]) // where the field comes first
				}
			}
		case *ast.KeyValueExpr:
			if key, ok := n.Key.(*ast.Ident); ok && toldByField[key.Name] {
				text(n.Value)
			}
		case *ast.CompositeLit:
			if kind, ok := n.Type.(*ast.Ident); (!ok || kind.Name == "FieldProblem") && len(n.Elts) == 3 {
				text(n.Elts[1])
			}
		case *ast.ValueSpec:
			for i, name := range n.Names {
				if sentinel.MatchString(name.Name) {
					words = append(words, name.Name)
				}
				if toldByConst.MatchString(name.Name) && i < len(n.Values) {
					text(n.Values[i])
				}
			}
		case *ast.TypeSpec:
			if errorType.MatchString(n.Name.Name) {
				words = append(words, n.Name.Name)
			}
		}
		return true
	})
	return words
}

func called(call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	default:
		return ""
	}
}
