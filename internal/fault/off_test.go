//go:build !squidmesh_fault

package fault

import (
	"encoding/json"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// What cannot signal, sleep or read the environment cannot do harm.
func TestWithoutTheTagThePackageIsEmpty(t *testing.T) {
	t.Parallel()

	require.False(t, Enabled)
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=Imports,GoFiles", ".").Output()
	require.NoError(t, err)
	var p struct{ Imports, GoFiles []string }
	require.NoError(t, json.Unmarshal(out, &p))
	require.Empty(t, p.Imports)
	require.Equal(t, []string{"fault.go", "off.go"}, p.GoFiles)
}
