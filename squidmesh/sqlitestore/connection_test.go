package sqlitestore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"modernc.org/sqlite"
)

// counted is a connector whose connections count what they prepare, below those that keep it.
type counted struct {
	driver.Connector
	prepared map[string]int
	keeping  *connection
}

type countedConn struct {
	driverConn
	prepared map[string]int
}

func (c countedConn) PrepareContext(ctx context.Context, text string) (driver.Stmt, error) {
	c.prepared[text]++
	return c.driverConn.PrepareContext(ctx, text)
}

func (c *counted) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := connector{c.Connector}.Connect(ctx)
	if err != nil {
		return nil, err
	}
	c.keeping = conn.(*connection)
	c.keeping.driverConn = countedConn{c.keeping.driverConn, c.prepared}
	return conn, nil
}

// openCounted opens a file by one connection.
func openCounted(t *testing.T) (*counted, *sql.DB) {
	base, err := sqlite.NewConnector(dsn(filepath.Join(t.TempDir(), "test.db"), "immediate", nil))
	require.NoError(t, err)
	c := &counted{Connector: base, prepared: map[string]int{}}
	db := sql.OpenDB(c)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	db.SetMaxOpenConns(1)
	return c, db
}

func exec(t *testing.T, db *sql.DB, text string, args ...any) {
	t.Helper()
	_, err := db.ExecContext(t.Context(), text, args...)
	require.NoError(t, err)
}

func TestConnection_PreparesOnce(t *testing.T) {
	t.Parallel()
	c, db := openCounted(t)
	const insert, count, all = "insert into note values (?)", "select count(*) from note", "select * from note order by 1"
	exec(t, db, "create table note (text text primary key)")
	for i := range 5 {
		exec(t, db, insert, fmt.Sprint(i))
		var n int
		require.NoError(t, db.QueryRowContext(t.Context(), count).Scan(&n))
		require.Equal(t, i+1, n)
	}
	require.Equal(t, 1, c.prepared[insert])
	require.Equal(t, 1, c.prepared[count])

	_, err := db.ExecContext(t.Context(), insert, "1")
	require.ErrorContains(t, err, "UNIQUE")
	exec(t, db, insert, "9")
	require.Equal(t, 2, c.prepared[insert], "what has failed is not kept")

	// Rows within rows of the same text are read by statements of their own.
	tx, err := db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	read := func(each func()) (texts []string) {
		rows, err := tx.QueryContext(t.Context(), all)
		require.NoError(t, err)
		for rows.Next() {
			var text string
			require.NoError(t, rows.Scan(&text))
			texts = append(texts, text)
			each()
		}
		require.NoError(t, rows.Err())
		require.NoError(t, rows.Close())
		return texts
	}
	inner := 0
	require.Equal(t, []string{"0", "1", "2", "3", "4", "9"}, read(func() { inner += len(read(func() {})) }))
	require.Equal(t, 36, inner)
	require.Equal(t, 2, c.prepared[all], "which are kept one after the other")
	require.NoError(t, tx.Rollback())
}

// A statement that was kept goes by the tables as they are now.
func TestConnection_SeesNewColumns(t *testing.T) {
	t.Parallel()
	_, db := openCounted(t)
	exec(t, db, "create table note (text text)")
	exec(t, db, "insert into note values ('x')")
	columns := func() []string {
		rows, err := db.QueryContext(t.Context(), "select * from note")
		require.NoError(t, err)
		names, err := rows.Columns()
		require.NoError(t, err)
		require.True(t, rows.Next())
		require.NoError(t, rows.Close())
		return names
	}
	require.Equal(t, []string{"text"}, columns())
	exec(t, db, "alter table note add column more text")
	require.Equal(t, []string{"text", "more"}, columns())
}

func TestConnection_KeepsSoManyStatements(t *testing.T) {
	t.Parallel()
	c, db := openCounted(t)
	for i := range 2 * keptStatements {
		exec(t, db, fmt.Sprintf("select %d", i))
		require.LessOrEqual(t, len(c.keeping.idle), keptStatements)
	}
	require.Len(t, c.keeping.idle, keptStatements)
	long := fmt.Sprintf("select '%*s'", keptText, "")
	exec(t, db, long)
	require.NotContains(t, c.keeping.idle, long)
}

// Whoever's context ends leaves a connection that goes on.
func TestConnection_OutlivesWhoGoes(t *testing.T) {
	t.Parallel()
	_, db := openCounted(t)
	const endless = "with recursive n (i) as (select 1 union all select i + 1 from n) select i from n"
	for range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		rows, err := db.QueryContext(ctx, endless)
		require.NoError(t, err)
		require.True(t, rows.Next())
		cancel()
		for rows.Next() {
		}
		require.ErrorIs(t, rows.Err(), context.Canceled)
		var n int
		require.NoError(t, db.QueryRowContext(t.Context(), endless+" limit 1").Scan(&n))
		require.Equal(t, 1, n)
	}
}

// Those who reach for the driver's connection find what it can do.
func TestConnection_CanDoWhatTheDriversCan(t *testing.T) {
	t.Parallel()
	store, err := Open(t.Context(), filepath.Join(t.TempDir(), "test.db"), nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	conn, err := store.DB().Conn(t.Context())
	require.NoError(t, err)
	require.NoError(t, conn.Raw(func(driver any) error {
		backup, err := driver.(interface {
			NewBackup(to string) (*sqlite.Backup, error)
		}).NewBackup(filepath.Join(t.TempDir(), "copy.db"))
		if err != nil {
			return err
		}
		if _, err := backup.Step(-1); err != nil {
			return err
		}
		return backup.Finish()
	}))
	require.NoError(t, conn.Close())
}

// A hook that is set hears of what statements do that were kept before.
func TestConnection_HooksHearOfKeptStatements(t *testing.T) {
	t.Parallel()
	_, db := openCounted(t)
	conn, err := db.Conn(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	const empty = "delete from note"
	heard := 0
	for _, text := range []string{"create table note (text text)", empty} {
		_, err := conn.ExecContext(t.Context(), text)
		require.NoError(t, err)
	}
	require.NoError(t, conn.Raw(func(driver any) error {
		driver.(sqlite.HookRegisterer).RegisterPreUpdateHook(func(sqlite.SQLitePreUpdateData) { heard++ })
		return nil
	}))
	for _, text := range []string{"insert into note values ('a'), ('b')", empty} {
		_, err := conn.ExecContext(t.Context(), text)
		require.NoError(t, err)
	}
	require.Equal(t, 4, heard)
}
