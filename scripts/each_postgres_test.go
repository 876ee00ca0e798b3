package scripts_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// What was not tried is nothing to be silent about, and nothing to fail for either: other machines do try it.
func TestEachPostgres_SaysWhatItDidNotTry(t *testing.T) {
	t.Parallel()
	tools := t.TempDir() // all that it needs but npm
	for _, name := range []string{"bash", "uname"} {
		path, err := exec.LookPath(name)
		require.NoError(t, err)
		require.NoError(t, os.Symlink(path, filepath.Join(tools, name)))
	}
	cmd := exec.Command("./each-postgres", "14.0 18.0", "sh", "-c", "echo tried")
	cmd.Env = []string{"PATH=" + tools}
	said, err := cmd.CombinedOutput()
	require.NoError(t, err, string(said))
	require.Contains(t, string(said), "NOT tried with PostgreSQL 14.0 18.0: ")
	require.NotContains(t, string(said), "tried\n")
}
