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

	"github.com/stretchr/testify/require"
)

// levels are the calls that log, by their names. logTroubles is a warning for each trouble.
var levels = map[string]string{"Info": "info", "Warn": "warn", "logTroubles": "warn", "Error": "error"}

var logRow = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (info|warn|error) \\| .*\\|$")

// Every line that the runtime logs stands in operating.md with its level, and no other.
func TestLogLinesAreDocumented(t *testing.T) {
	t.Parallel()
	_, section, found := strings.Cut(read(t, "operating.md"), "\n## Logs and observers\n")
	require.True(t, found)
	documented := map[string]string{}
	for _, row := range logRow.FindAllStringSubmatch(section, -1) {
		documented[row[1]] = row[2]
	}
	logged := map[string]string{}
	files, err := filepath.Glob("../squidmesh/*.go")
	require.NoError(t, err)
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			if level, line := logCall(n); line != "" {
				logged[line] = level
			}
			return true
		})
	}
	require.Equal(t, documented, logged)
}

// logCall is what a call logs, up to the first colon: behind it the line explains itself.
func logCall(n ast.Node) (level, line string) {
	call, ok := n.(*ast.CallExpr)
	if !ok || len(call.Args) == 0 {
		return "", ""
	}
	fn, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return "", ""
	}
	arg := call.Args[0]
	for {
		sum, ok := arg.(*ast.BinaryExpr)
		if !ok {
			break
		}
		arg = sum.X
	}
	lit, ok := arg.(*ast.BasicLit)
	if !ok {
		return "", ""
	}
	text, err := strconv.Unquote(lit.Value)
	if err != nil {
		return "", ""
	}
	text, ours := strings.CutPrefix(text, "squidmesh: ")
	if level = levels[fn.Sel.Name]; level == "" || !ours {
		return "", ""
	}
	line, _, _ = strings.Cut(text, ":")
	return level, line
}
