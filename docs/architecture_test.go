package docs

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// storeys are the packages that the map of all rooms is about.
var storeys = []string{"squidmesh", "squidmesh/flow", "squidmesh/driver", "squidmesh/jsontype"}

// The map of all rooms is that of the tree: who adds, renames or deletes a file says there what is to be changed in it.
func TestArchitecture_MapsEveryFile(t *testing.T) {
	t.Parallel()
	row := regexp.MustCompile("(?m)^\\| ([a-z]+) \\| `([^`]+)` \\| .+ \\|$")
	page := read(t, "architecture.md")
	for _, dir := range storeys {
		_, section, found := strings.Cut(page, "\n### `"+dir+"`\n")
		require.True(t, found, "docs/architecture.md has a table for %s", dir)
		section, _, _ = strings.Cut(section, "\n#")
		var mapped []string
		for _, match := range row.FindAllStringSubmatch(section, -1) {
			wing, file := match[1], match[2]
			mapped = append(mapped, file)
			if dir == "squidmesh" && wing != "house" {
				require.True(t, strings.HasPrefix(file, wing+"_") || file == wing+".go", "%s is not in the wing %s", file, wing)
			}
		}
		slices.Sort(mapped)
		require.Equal(t, sources(t, dir), mapped, "docs/architecture.md maps each file of %s once", dir)
	}
}

// The ways through the rooms lead through rooms that are there.
func TestArchitecture_NamesFilesThatExist(t *testing.T) {
	t.Parallel()
	var all []string
	for _, dir := range storeys {
		all = append(all, sources(t, dir)...)
	}
	for _, match := range regexp.MustCompile("`([^`\\s]+\\.go)`").FindAllStringSubmatch(read(t, "architecture.md"), -1) {
		require.Contains(t, all, match[1])
	}
}

// sources are the files of a package without its tests, sorted.
func sources(t *testing.T, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join("..", dir, "*.go"))
	require.NoError(t, err)
	var files []string
	for _, path := range found {
		if name := filepath.Base(path); !strings.HasSuffix(name, "_test.go") {
			files = append(files, name)
		}
	}
	require.NotEmpty(t, files)
	return files
}
