package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// commandWord is a word of a command: quoted, or without spaces.
var commandWord = regexp.MustCompile(`'([^']*)'|[^\s'#]+`)

// goTests are the commands in a document that run tests, in words.
func goTests(text string) [][]string {
	var commands [][]string
	for _, line := range regexp.MustCompile("(?m)(?:^|`)([^`\n#]*\\bgo test [^`\n#]*)").FindAllStringSubmatch(text, -1) {
		var words []string
		for _, match := range commandWord.FindAllStringSubmatch(line[1], -1) {
			if match[1] != "" {
				match[0] = match[1]
			}
			words = append(words, match[0])
		}
		commands = append(commands, words)
	}
	return commands
}

// A command that names a test, a package or a script which is not there prints "no tests to run", and ends well.
func TestCommands_NameWhatExists(t *testing.T) {
	t.Parallel()
	seen := 0
	for path, text := range documents(t) {
		if strings.HasPrefix(path, ledger) {
			continue
		}
		for _, command := range goTests(text) {
			seen++
			var code string // of the tests of the packages
			patterns := map[string]string{}
			for i, arg := range command {
				switch {
				case strings.HasSuffix(arg, "-postgres"):
					info, err := os.Stat("../" + arg)
					require.NoError(t, err, "%s: %v", path, command)
					require.NotZero(t, info.Mode()&0o100, "%s: %v", path, command)
				case strings.HasPrefix(arg, "./"):
					files, err := filepath.Glob("../" + arg + "/*_test.go")
					require.NoError(t, err)
					require.NotEmpty(t, files, "%s: no tests in %s", path, arg)
					for _, file := range files {
						code += read(t, file)
					}
				case arg == "-run" || arg == "-fuzz":
					patterns[arg] = command[i+1]
				}
			}
			if target, ok := patterns["-fuzz"]; ok {
				require.True(t, declares(code, "Fuzz", target), "%s: no fuzz target %s: %v", path, target, command)
				continue // its -run is to match nothing
			}
			test, sub, _ := strings.Cut(patterns["-run"], "/")
			require.True(t, declares(code, "Test", test), "%s: no test %s: %v", path, test, command)
			if sub = strings.TrimSuffix(sub, "$"); sub != "" {
				require.Contains(t, subtests(t, test), sub, "%s: %v", path, command)
			}
		}
	}
	require.Greater(t, seen, 10)
}

// declares says whether code has a function whose name has the prefix and matches a pattern of -run or -fuzz.
func declares(code, prefix, pattern string) bool {
	matches := regexp.MustCompile(pattern)
	for _, name := range regexp.MustCompile(`(?m)^func (`+prefix+`\w+)\(`).FindAllStringSubmatch(code, -1) {
		if matches.MatchString(name[1]) {
			return true
		}
	}
	return false
}

// subtests are what go test calls the scenarios, or the planted bugs.
func subtests(t *testing.T, test string) []string {
	t.Helper()
	var names []string
	switch {
	case strings.HasPrefix(test, "TestScenarios_"):
		scripts, err := filepath.Glob("../testdata/scenarios/*.txt")
		require.NoError(t, err)
		for _, script := range scripts {
			names = append(names, strings.TrimSuffix(filepath.Base(script), ".txt"))
		}
	case test == "TestMutants_PropertiesFindEachPlantedBug":
		names = bugs(read(t, "../internal/mutants/list_test.go"), `(?m)^\t\t"([^"]+)", "\w+\.go",$`)
	case test == "TestMutants_TestsFindEachBugOfTheShell":
		names = bugs(read(t, "../internal/mutants/shell_list_test.go"), `(?m)^\t\t"([^"]+)", "[\w/]+\.\w+",$`)
	}
	require.NotEmpty(t, names, "%s has no subtests that are known here", test)
	return names
}

// bugs are the names in a list of planted ones.
func bugs(list, row string) []string {
	var names []string
	for _, match := range regexp.MustCompile(row).FindAllStringSubmatch(list, -1) {
		names = append(names, strings.ReplaceAll(match[1], " ", "_"))
	}
	return names
}

// What CONTRIBUTING.md says besides tests: the versions of PostgreSQL are those of the Makefile, fault points and build tags are there.
func TestContributing_IsThatOfTheTree(t *testing.T) {
	t.Parallel()
	page := read(t, "../CONTRIBUTING.md")
	versions := regexp.MustCompile(`each-postgres '([^']+)'`).FindStringSubmatch(page)
	require.NotNil(t, versions)
	require.Contains(t, read(t, "../Makefile"), "POSTGRES_VERSIONS ?= "+versions[1]+"\n")

	for _, tag := range regexp.MustCompile(`-tags (\w+)`).FindAllStringSubmatch(page, -1) {
		require.Contains(t, read(t, "../internal/fault/on.go"), "//go:build "+tag[1]+"\n")
	}
	points := regexp.MustCompile(`SQUIDMESH_FAULTS=(\w+)\.(\w+)=`).FindAllStringSubmatch(page, -1)
	require.NotEmpty(t, points)
	for _, point := range points {
		require.Regexp(t, `Stage\w+ +Stage = "`+point[1]+`"`, read(t, "../squidmesh/flow/event_traits.go"))
		require.Contains(t, read(t, "../squidmesh/commit_alone.go")+read(t, "../squidmesh/commit_write.go"), `"`+point[2]+`")`)
	}
	for _, dir := range regexp.MustCompile("`((?:squidmesh|internal|migrations|docs|testdata)[\\w/]*)`").FindAllStringSubmatch(page, -1) {
		info, err := os.Stat("../" + dir[1])
		require.NoError(t, err, dir[1])
		require.True(t, info.IsDir(), dir[1])
	}
}
