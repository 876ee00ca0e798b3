// Package scripts_test runs the scripts of this directory as people do.
package scripts_test

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

const elsewhere = "postgres://somebody@example.invalid/data"

// command is what scripts/with-postgres starts in these tests, with nothing but settings as URLs.
func command(t *testing.T, shell string, settings ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("./with-postgres", "sh", "-c", shell)
	for _, setting := range os.Environ() {
		if !strings.Contains(setting, "DATABASE_URL=") {
			cmd.Env = append(cmd.Env, setting)
		}
	}
	cmd.Env = append(cmd.Env, settings...)
	cmd.Stderr = os.Stderr
	return cmd
}

func TestWithPostgres_UsesTheServerThatIsNamedForTests(t *testing.T) {
	t.Parallel()
	out, err := command(t, `echo "$TEST_DATABASE_URL $DATABASE_URL"`, "TEST_DATABASE_URL="+elsewhere, "DATABASE_URL=postgres://data").Output()
	require.NoError(t, err)
	require.Equal(t, elsewhere+" \n", string(out), "and tells nobody of another")
}

// A developer's shell leads to his data, which tests may not touch; and every user of his machine reaches a port.
func TestWithPostgres_StartsAServerThatNobodyElseGetsInto(t *testing.T) {
	t.Parallel()
	cmd := command(t, `echo "$TEST_DATABASE_URL $DATABASE_URL"; read line`, "DATABASE_URL="+elsewhere)
	done, err := cmd.StdinPipe()
	require.NoError(t, err)
	said, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		require.NoError(t, done.Close())
		_ = cmd.Wait() // read has met the end of its input
	})
	var url string
	_, err = fmt.Fscanln(said, &url)
	require.NoError(t, err, "one word: no other URL")
	require.NotEqual(t, elsewhere, url)

	config, err := pgx.ParseConfig(url)
	require.NoError(t, err)
	require.NotEmpty(t, config.Password)
	conn, err := pgx.ConnectConfig(t.Context(), config)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(t.Context())) }()
	var directory, sockets, anybody string
	require.NoError(t, conn.QueryRow(t.Context(), `select current_setting('data_directory'), current_setting('unix_socket_directories'),
		coalesce(string_agg(type || ' ' || auth_method, ', ') filter (where auth_method <> 'scram-sha-256'), '')
		from pg_hba_file_rules`).Scan(&directory, &sockets, &anybody))
	require.Empty(t, anybody, "ways in without the password")
	for _, path := range []string{directory, sockets} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o700), info.Mode().Perm(), path)
	}
	require.NoFileExists(t, sockets+"/password")

	for _, host := range []string{config.Host, sockets} {
		stranger := config.Copy()
		stranger.Host, stranger.Password = host, "postgres"
		_, err = pgx.ConnectConfig(t.Context(), stranger)
		var refused *pgconn.PgError
		require.ErrorAs(t, err, &refused, host)
		require.Equal(t, "28P01", refused.Code, "invalid_password")
	}

	if _, err := user.Lookup("nobody"); err == nil { // whoever does get in is not the user of the machine's real servers
		_, err := conn.Exec(t.Context(), `create temporary table who (name text); copy who from program 'id -un'`, pgx.QueryExecModeSimpleProtocol)
		require.NoError(t, err)
		var name string
		require.NoError(t, conn.QueryRow(t.Context(), "select name from who").Scan(&name))
		require.NotEqual(t, "postgres", name)
	}
}
