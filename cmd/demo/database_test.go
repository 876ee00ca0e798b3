package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A new night takes the files of its own directory, whatever that is called, and only those that the demo makes.
func TestWipe_StaysInItsDirectory(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	files := []string{databaseFile, databaseFile + "-wal", databaseFile + ".lock", "payments.jsonl", "digest-2026-03-02.txt", "mine.txt"}
	for _, dir := range []string{"n*", "night"} {
		require.NoError(t, os.Mkdir(filepath.Join(parent, dir), 0o700))
		for _, name := range files {
			require.NoError(t, os.WriteFile(filepath.Join(parent, dir, name), nil, 0o600))
		}
	}
	require.NoError(t, wipe(t.Context(), filepath.Join(parent, "n*", databaseFile)))
	names := func(dir string) (names []string) {
		entries, err := os.ReadDir(filepath.Join(parent, dir))
		require.NoError(t, err)
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	require.Equal(t, []string{"mine.txt"}, names("n*"))
	require.ElementsMatch(t, files, names("night"))
}
