package mutants

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// shellSample is for the bugs of the shell what sample is for those of the core. Each costs more, as its tests need a database.
const shellSample = 25

var failure = regexp.MustCompile(`(?m)--- FAIL: (\S+)|^panic: .*`)

// TestMutants_TestsFindEachBugOfTheShell plants bugs where no property reaches: in the shell, the stores, their SQL and the adapter.
func TestMutants_TestsFindEachBugOfTheShell(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("compiles the tests of a package once for each bug")
	}
	module, err := filepath.Abs("../..")
	require.NoError(t, err)

	if os.Getenv("MUTANTS") == "all" {
		patterns := map[string][]string{}
		for _, m := range shellMutants {
			patterns[m.in] = append(patterns[m.in], m.run)
		}
		for in, runs := range patterns {
			t.Run("no bug in "+filepath.Base(in), func(t *testing.T) {
				t.Parallel()
				takeSlot(t)
				found, output := testsFind(t, module, replacement(t, nil), in, strings.Join(runs, "|"))
				require.False(t, found, "the tests fail without any bug:\n%s", output)
			})
		}
	}
	for i, m := range shellMutants {
		if i%shellSample != 0 && os.Getenv("MUTANTS") != "all" {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			takeSlot(t)
			file, patched := plant(t, module, m.mutant)
			began := time.Now()
			found, output := testsFind(t, module, replacement(t, map[string]string{file: patched}), m.in, m.run)
			require.True(t, found, "%s of %s do not find this bug in %s:\n%s\nbecomes\n%s\n%s", m.run, m.in, m.file, m.from, m.to, output)
			t.Logf("%s, after %s", failure.FindString(output), time.Since(began).Round(time.Second))
		})
	}
}

// TestMutants_TextsAreInTheShell is about all bugs, the ones that a plain run leaves out too.
func TestMutants_TextsAreInTheShell(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, m := range shellMutants {
		require.False(t, names[m.name], "two bugs are named %q", m.name)
		names[m.name] = true
		plant(t, "../..", m.mutant)
	}
}

// testsFind runs tests of a package with an overlay. It reports whether one failed. Some bugs make a test wait for ever, so its time is
// short.
func testsFind(t *testing.T, module, overlay, in, run string) (failed bool, output string) {
	tests := exec.CommandContext(t.Context(), "go", "test", "-p", "1", "-count=1", "-vet=off", "-ldflags=-s -w", "-timeout=45s", "-failfast",
		"-overlay", overlay, "-run", run, in)
	tests.Dir = module
	said, err := tests.CombinedOutput()
	output = string(said)
	require.NotContains(t, output, "no tests to run")
	if err != nil {
		require.Regexp(t, failure, output, "the tests did not even run")
	}
	return err != nil, output
}
