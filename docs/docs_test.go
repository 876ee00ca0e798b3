// Package docs holds the project's documents to what they speak of: their code is that of the tests here, which compile and run,
// their links lead somewhere, and the commands and names that they give exist.
package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// ledger is the folder of the list of behaviours.
const ledger = "../internal/behaviours"

// documents are all of them, by path.
func documents(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, pattern := range []string{"*.md", "*/*.md", "../*.md", ledger + "/*.md"} {
		found, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, path := range found {
			files[path] = read(t, path)
		}
	}
	require.Contains(t, files, "../README.md")
	return files
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

var (
	fenced  = regexp.MustCompile("(?s)```.*?```")
	goBlock = regexp.MustCompile("(?s)```go\n(.*?)```")
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
)

func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	for path, text := range documents(t) {
		for _, match := range link.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
			target, anchor, _ := strings.Cut(match[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			to := path
			if target != "" {
				to = filepath.Join(filepath.Dir(path), target)
				_, err := os.Stat(to)
				require.NoError(t, err, "%s links to %s", path, match[1])
			}
			if anchor != "" {
				require.Contains(t, anchors(read(t, to)), anchor, "%s links to %s", path, match[1])
			}
		}
	}
}

// anchors are what forges make of headings.
func anchors(text string) []string {
	var names []string
	for _, match := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
		name := strings.ReplaceAll(strings.ToLower(strings.TrimSpace(match[1])), " ", "-")
		names = append(names, regexp.MustCompile(`[^a-z0-9_-]`).ReplaceAllString(name, ""))
	}
	return names
}

func TestMakeTargetsExist(t *testing.T) {
	t.Parallel()
	makefile := read(t, "../Makefile")
	for path, text := range documents(t) {
		for _, match := range regexp.MustCompile("(?m)(?:^|`|=1 )make ([a-z][a-z/-]*)").FindAllStringSubmatch(text, -1) {
			require.True(t, strings.Contains(makefile, "\n"+match[1]+":"), "%s says make %s", path, match[1])
		}
	}
}

// The README's code is held by package squidmesh, beside its examples.
func TestCodeIsThatOfTheTests(t *testing.T) {
	t.Parallel()
	var code strings.Builder
	for _, pattern := range []string{"*_test.go", "quickstart/main.go"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, path := range files {
			code.WriteString(unindented(read(t, path)))
		}
	}
	for path, text := range documents(t) {
		if strings.HasPrefix(path, "..") {
			continue
		}
		for _, block := range goBlock.FindAllStringSubmatch(text, -1) {
			require.True(t, strings.Contains(code.String(), unindented(block[1])), "%s has code that is in no test:\n%s", path, block[1])
		}
	}
}

func unindented(code string) string {
	return regexp.MustCompile(`(?m)^\t+`).ReplaceAllString(code, "")
}

// A name like `Runtime.StopAll` would be looked for in vain.
func TestNamesOfTheRuntimeExist(t *testing.T) {
	t.Parallel()
	code := map[string]string{}
	for name, dir := range map[string]string{
		"squidmesh": "../squidmesh", "flow": "../squidmesh/flow", "driver": "../squidmesh/driver", "jsontype": "../squidmesh/jsontype",
		"drivertest": "../squidmesh/drivertest", "squidmeshtest": "../squidmesh/squidmeshtest",
	} {
		files, err := filepath.Glob(dir + "/*.go")
		require.NoError(t, err)
		for _, path := range files {
			if !strings.HasSuffix(path, "_test.go") {
				code[name] += read(t, path)
			}
		}
	}
	for path, text := range documents(t) {
		if strings.HasPrefix(path, ledger) {
			continue // these name tests, which have a test of their own
		}
		text = fenced.ReplaceAllString(text, "")
		for _, match := range regexp.MustCompile("`(?:rt|Runtime)\\.([A-Z]\\w+)").FindAllStringSubmatch(text, -1) {
			require.True(t, strings.Contains(code["squidmesh"], "func (rt *Runtime[TTx]) "+match[1]+"("), "%s names %s", path, match[0])
		}
		for _, match := range regexp.MustCompile("`(squidmesh|flow|driver|jsontype|drivertest|squidmeshtest)\\.([A-Z]\\w+)").FindAllStringSubmatch(text, -1) {
			declared := regexp.MustCompile(`(?m)^(func |type |const |var |\t)` + match[2] + `\b`)
			require.True(t, declared.MatchString(code[match[1]]), "%s names %s", path, match[0])
		}
	}
}
