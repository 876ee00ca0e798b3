package mutants

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// processes is how many compilers and tests run at once.
const processes = 2

var slots = make(chan struct{}, processes)

// takeSlot waits for one of them, until the test ends.
func takeSlot(t *testing.T) {
	slots <- struct{}{}
	t.Cleanup(func() { <-slots })
}

// sample is how many bugs there are for each one that a plain run plants, since each costs a compilation of the core. With MUTANTS=all
// in the environment, as "make mutants" sets it, all are planted.
const sample = 16

// rounds are how many histories per test a bug has to show itself in: most do so within a few, which saves much time.
var rounds = []string{"40", "300"}

// seed makes the histories the same each time, so that a bug is found always or never.
const seed = "20260301"

var verdict = regexp.MustCompile(`\[rapid\] (?:failed|panic|flaky)[^:]*: (.*)`)

func TestMutants_PropertiesFindEachPlantedBug(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("compiles the core once for each bug")
	}
	core, err := filepath.Abs("../../squidmesh/flow")
	require.NoError(t, err)

	t.Run("no bug", func(t *testing.T) {
		t.Parallel()
		takeSlot(t)
		found, output := properties(t, core, overlay(t, core, mutant{}), "10m") // a busy machine is no bug
		require.False(t, found, "the properties fail without any bug:\n%s", output)
	})
	for i, m := range mutants {
		if i%sample != 0 && os.Getenv("MUTANTS") != "all" {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			takeSlot(t)
			found, output := properties(t, core, overlay(t, core, m), "2m")
			require.True(t, found, "no property finds this bug in %s:\n%s\nbecomes\n%s", m.file, m.from, m.to)
			if said := verdict.FindStringSubmatch(output); said != nil {
				t.Log(said[1])
			}
		})
	}
}

// TestMutants_TextsAreInTheCore is about all bugs, the ones that a plain run leaves out too.
func TestMutants_TextsAreInTheCore(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, m := range mutants {
		require.False(t, names[m.name], "two bugs are named %q", m.name)
		names[m.name] = true
		plant(t, "../../squidmesh/flow", m)
	}
}

// overlay makes the core look patched to the go command, and without its other tests, which need databases to compile. It
// returns the file that says so.
func overlay(t *testing.T, core string, m mutant) string {
	replace := map[string]string{}
	tests, err := filepath.Glob(filepath.Join(core, "*_test.go"))
	require.NoError(t, err)
	for _, file := range tests {
		if !strings.HasPrefix(filepath.Base(file), "property_") && filepath.Base(file) != "export_test.go" {
			replace[file] = ""
		}
	}
	if m.file != "" {
		file, patched := plant(t, core, m)
		replace[file] = patched
	}
	return replacement(t, replace)
}

// plant writes the file that has the bug, and returns which one it takes the place of.
func plant(t *testing.T, dir string, m mutant) (file, patched string) {
	file = filepath.Join(dir, m.file)
	source, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(source), m.from), "%s: %s must hold exactly once:\n%s", m.name, m.file, m.from)
	patched = filepath.Join(t.TempDir(), filepath.Base(file))
	require.NoError(t, os.WriteFile(patched, []byte(strings.Replace(string(source), m.from, m.to, 1)), 0o600))
	return file, patched
}

// replacement writes the file that tells the go command which files to take for others, and so leaves the tree alone.
func replacement(t *testing.T, files map[string]string) string {
	data, err := json.Marshal(map[string]any{"Replace": files})
	require.NoError(t, err)
	overlay := filepath.Join(t.TempDir(), "overlay.json")
	require.NoError(t, os.WriteFile(overlay, data, 0o600))
	return overlay
}

// properties compiles the core's properties with the overlay and runs them, in rounds. It reports whether one failed, or
// did not end within timeout.
func properties(t *testing.T, core, overlay, timeout string) (failed bool, output string) {
	binary := filepath.Join(t.TempDir(), "properties.test")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-p", "1", "-vet=off", "-gcflags=-N -l", "-ldflags=-s -w",
		"-overlay", overlay, "-o", binary, ".") // fast to compile, not to run
	build.Dir = core
	said, err := build.CombinedOutput()
	require.NoError(t, err, "it does not compile:\n%s", said)

	for _, checks := range rounds {
		run := exec.CommandContext(t.Context(), binary, "-test.run=^TestProperty_", "-test.timeout="+timeout, "-test.failfast",
			"-rapid.checks="+checks, "-rapid.seed="+seed, "-rapid.shrinktime=0s", "-rapid.nofailfile")
		run.Dir = core
		run.Env = append(os.Environ(), fmt.Sprintf("GOMAXPROCS=%d", 1))
		said, err := run.CombinedOutput()
		if err != nil {
			require.Contains(t, string(said), "TestProperty_", "it did not even run: %v", err)
			return true, string(said)
		}
		output = string(said)
	}
	return false, output
}
