package border

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// parts are those of a Runtime, from the bottom up. Each may hold only such as stand before it, so what one does can be read without those
// above it.
var parts = []string{"database", "base", "definitions", "queue", "teller", "committer", "cron", "performer", "pruner", "worker", "Runtime"}

func TestPartsOfARuntime_HoldOnlyThoseBelow(t *testing.T) {
	t.Parallel()

	var met []string
	for _, file := range runtimeFiles(t) {
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			structure, ok := spec.Type.(*ast.StructType)
			if !ok {
				return true
			}
			rank := slices.Index(parts, spec.Name.Name) // -1 of a set, a cache or a row, which holds no part
			if rank >= 0 {
				met = append(met, spec.Name.Name)
			}
			for _, field := range structure.Fields.List {
				ast.Inspect(field.Type, func(n ast.Node) bool {
					if name, ok := n.(*ast.Ident); ok && slices.Contains(parts, name.Name) {
						require.Less(t, slices.Index(parts, name.Name), rank, "%s holds %s", spec.Name.Name, name.Name)
					}
					return true
				})
			}
			return true
		})
	}
	require.ElementsMatch(t, parts, met)
}

// What is not a method of the Runtime knows none. New puts one together.
func TestPartsOfARuntime_KnowNoRuntime(t *testing.T) {
	t.Parallel()

	for _, file := range runtimeFiles(t) {
		for _, decl := range file.Decls {
			function, ok := decl.(*ast.FuncDecl)
			if !ok || function.Recv == nil && function.Name.Name == "New" || function.Recv != nil && mentionsRuntime(function.Recv) {
				continue
			}
			require.False(t, mentionsRuntime(function), function.Name.Name)
		}
	}
}

func mentionsRuntime(within ast.Node) (found bool) {
	ast.Inspect(within, func(n ast.Node) bool {
		name, ok := n.(*ast.Ident)
		found = found || ok && name.Name == "Runtime"
		return !found
	})
	return found
}

// runtimeFiles are the files of package squidmesh, without its tests.
func runtimeFiles(t *testing.T) []*ast.File {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("..", "..", "squidmesh", "*.go"))
	require.NoError(t, err)
	var files []*ast.File
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		require.NoError(t, err)
		files = append(files, file)
	}
	require.NotEmpty(t, files)
	return files
}
