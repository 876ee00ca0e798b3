package sqlitestore_test

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/migrations"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/sqlitestore"
)

// A child process that opens a store and waits to be killed.
const holdFile = "SQUIDMESH_TEST_HOLD_FILE"

func TestMain(m *testing.M) {
	if path := os.Getenv(holdFile); path != "" {
		if _, err := sqlitestore.Open(context.Background(), path, nil); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("open")
		select {}
	}
	os.Exit(m.Run())
}

func TestOpen_OneStoreAtATime(t *testing.T) {
	t.Parallel()

	path := filepath.Join(t.TempDir(), "a.db")
	first, err := sqlitestore.Open(t.Context(), path, nil)
	require.NoError(t, err)
	link := filepath.Join(t.TempDir(), "link.db")
	require.NoError(t, os.Symlink(path, link))

	for _, same := range []string{path, link} {
		_, err = sqlitestore.Open(t.Context(), same, nil)
		require.ErrorIs(t, err, sqlitestore.ErrLocked)
		require.ErrorContains(t, err, filepath.Base(path))
		require.ErrorContains(t, err, fmt.Sprintf("process %d on ", os.Getpid()))
	}
	require.NoError(t, first.Close())
	second, err := sqlitestore.Open(t.Context(), link, nil)
	require.NoError(t, err)
	require.NoError(t, second.Close())
}

func TestOpen_AKilledProcessLeavesNoLock(t *testing.T) {
	t.Parallel()

	path := filepath.Join(t.TempDir(), "a.db")
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), holdFile+"="+path)
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "open\n", line)

	_, err = sqlitestore.Open(t.Context(), path, nil)
	require.ErrorIs(t, err, sqlitestore.ErrLocked)
	require.ErrorContains(t, err, fmt.Sprintf("process %d on ", child.Process.Pid))

	require.NoError(t, child.Process.Kill())
	_ = child.Wait()
	store, err := sqlitestore.Open(t.Context(), path, nil)
	require.NoError(t, err)
	require.NoError(t, store.Close())
}

func TestOpen_RefusesWhatIsNoFile(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()
	for path, code := range map[string]string{
		"": "not_a_file", ":memory:": "not_a_file", "file::memory:?cache=shared": "not_a_file", "file:a.db": "not_a_file",
		filepath.Join(dir, "a\x00.db"): "not_a_file", filepath.Join(dir, strings.Repeat("x", 4000)): "too_long",
	} {
		_, err := sqlitestore.Open(t.Context(), path, nil)
		var bad *flow.InputError
		require.ErrorAs(t, err, &bad, path)
		require.Equal(t, [2]string{"path", code}, [2]string{bad.Field, bad.Code})
		require.LessOrEqual(t, len(err.Error()), 200, "an error repeats little of what was given")
	}
	_, err := sqlitestore.Open(t.Context(), filepath.Join(dir, "missing", "a.db"), nil)
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = sqlitestore.Open(t.Context(), dir, nil)
	require.Error(t, err, "a directory")
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestOpen_AnyFileName(t *testing.T) {
	t.Parallel()

	path := filepath.Join(t.TempDir(), "it's 100% #1? &x=y 漢.db")
	store, err := sqlitestore.Open(t.Context(), path, nil)
	require.NoError(t, err)
	require.NoError(t, store.Close())
	require.FileExists(t, path)
}

// A database holds what runs were started with, so nobody else on the machine reads it unless somebody lets him.
func TestOpen_MakesFilesForTheirOwnerAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "mesh.db")
	use := func() (modes map[string]os.FileMode) {
		t.Helper()
		store, err := sqlitestore.Open(t.Context(), path, nil)
		require.NoError(t, err)
		defer func() { require.NoError(t, store.Close()) }()
		require.NoError(t, migrations.UpAllSQLite(t.Context(), store.DB(), nil))
		files, err := os.ReadDir(dir)
		require.NoError(t, err)
		modes = map[string]os.FileMode{}
		for _, f := range files {
			info, err := f.Info()
			require.NoError(t, err)
			modes[f.Name()] = info.Mode().Perm()
		}
		return modes
	}
	modes := use()
	require.Subset(t, slices.Collect(maps.Keys(modes)), []string{"mesh.db", "mesh.db-wal", "mesh.db-shm", "mesh.db.lock"})
	for name, mode := range modes {
		require.Equal(t, os.FileMode(0o600), mode, name)
	}
	require.NoError(t, os.Chmod(path, 0o640))
	require.Equal(t, os.FileMode(0o640), use()["mesh.db"], "who has let others in has done so")
}

func TestOpen_Settings(t *testing.T) {
	t.Parallel()

	store := dbtest.SQLite(t, nil)
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "busy_timeout": "5000", "foreign_keys": "1"} {
		var got string
		require.NoError(t, store.DB().QueryRowContext(t.Context(), "pragma "+pragma).Scan(&got))
		require.Equal(t, want, got, pragma)
	}
	require.Equal(t, 1, store.DB().Stats().MaxOpenConnections)
	traits := store.Traits()
	require.True(t, traits.Exclusive)
	require.Equal(t, time.Minute, traits.Lease)
	require.Equal(t, 2*time.Second, traits.TxTimeout)
}

func TestNotify_WritesWhatRiverPolls(t *testing.T) {
	t.Parallel()

	store := dbtest.SQLite(t, nil, dbtest.River)
	require.NoError(t, store.Notify(t.Context(), "river_insert", `{"queue":"q"}`))
	var topic, payload string
	require.NoError(t, store.DB().QueryRowContext(t.Context(), "select topic, payload from river_notification").Scan(&topic, &payload))
	require.Equal(t, "river_insert", topic)
	require.JSONEq(t, `{"queue":"q"}`, payload)
}

// Another program on the same file, such as a sqlite3 shell, can hold the write lock for a while.
func TestTransient_ABusyFile(t *testing.T) {
	t.Parallel()

	path := filepath.Join(t.TempDir(), "a.db")
	store, err := sqlitestore.Open(t.Context(), path, nil)
	require.NoError(t, err)
	defer store.Close()
	_, err = store.DB().ExecContext(t.Context(), "pragma busy_timeout = 1")
	require.NoError(t, err)
	shell, err := sql.Open("sqlite", "file:"+path+"?_txlock=immediate")
	require.NoError(t, err)
	defer shell.Close()
	tx, err := shell.BeginTx(t.Context(), nil)
	require.NoError(t, err)

	err = store.InTx(t.Context(), func(context.Context, *sql.Tx) error { return nil })
	require.Error(t, err)
	require.True(t, store.Traits().Transient(err), "%v", err)
	require.True(t, strings.Contains(err.Error(), "locked"), err)
	require.NoError(t, tx.Rollback())
	require.NoError(t, store.InTx(t.Context(), func(context.Context, *sql.Tx) error { return nil }))
}
