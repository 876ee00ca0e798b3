package docs

import (
	"bufio"
	"context"
	"database/sql"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/migrations"
	"github.com/squidmesh/squidmesh-go/riveradapter"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

// The page has the whole program, which is built with everything else.
func TestQuickstart_HasTheProgram(t *testing.T) {
	t.Parallel()
	require.Contains(t, read(t, "quickstart.md"), "```go\n"+read(t, "quickstart/main.go")+"```\n")
}

// The program prints what the page says, killed where the page kills it.
func TestQuickstart_PrintsWhatThePageSays(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	program := filepath.Join(dir, "shop")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./quickstart").CombinedOutput()
	require.NoError(t, err, "%s", out)

	runs := strings.Split(texts(t, "quickstart.md"), "$ go run .\n")[1:]
	require.Len(t, runs, 3)
	for _, run := range runs {
		want, killed := strings.CutSuffix(run, "signal: killed\n")
		cmd := exec.CommandContext(t.Context(), program)
		cmd.Dir, cmd.Stderr = dir, os.Stderr
		pipe, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		printed := ""
		for lines := bufio.NewScanner(pipe); lines.Scan(); {
			printed += lines.Text() + "\n"
			if killed && printed == want {
				untilItWaits(t, filepath.Join(dir, "shop.db"))
				require.NoError(t, cmd.Process.Kill())
			}
		}
		err = cmd.Wait()
		require.Equal(t, want, printed)
		require.Equal(t, killed, err != nil, "%v", err)
	}
}

// untilItWaits returns once the charge is recorded and the wait has begun.
func untilItWaits(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
	require.NoError(t, err)
	defer db.Close()
	require.Eventually(t, func() bool {
		var waits int
		return db.QueryRowContext(t.Context(), `select count(*) from squidmesh_step where name = 'cool_off'`).Scan(&waits) == nil && waits == 1
	}, 9*time.Second, time.Millisecond)
}

// texts are the blocks of text in a page, one after the other.
func texts(t *testing.T, page string) string {
	t.Helper()
	var all strings.Builder
	for _, block := range regexp.MustCompile("(?s)```text\n(.*?)```").FindAllStringSubmatch(read(t, page), -1) {
		all.WriteString(block[1])
	}
	return all.String()
}

func TestQuickstart_OnPostgres(t *testing.T) {
	t.Parallel()
	pool := dbtest.Postgres(t, dbtest.Empty)
	address, err := url.Parse(pool.Config().ConnString())
	require.NoError(t, err)
	settings := address.Query()
	settings.Set("search_path", dbtest.Schema(pool))
	address.RawQuery = settings.Encode()
	require.NoError(t, quickstartOnPostgres(t.Context(), address.String()))
}

func quickstartOnPostgres(ctx context.Context, databaseURL string) error {
	checkout := squidmesh.Workflow{
		Name: "checkout", Triggers: []squidmesh.Trigger{squidmesh.Manual("ordered", squidmesh.Payload[Order]())},
		Steps: []squidmesh.Step{{Name: "ship", Do: squidmesh.Effect(func(context.Context, Order) error { return nil })}},
	}
	config, err := pgxpool.ParseConfig(databaseURL)
	if err != nil {
		return err
	}
	pgstore.TunePool(config, nil) // connections that die in silence hold nobody up
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return err
	}
	defer pool.Close() // after riveradapter.Stop, whose defer comes later
	if err := migrations.UpAllPostgres(ctx, pool, nil); err != nil {
		return err
	}

	executor := riveradapter.New[pgx.Tx](nil)
	rt, err := squidmesh.New(&squidmesh.Config[pgx.Tx]{
		Store: pgstore.New(pool, nil), Executor: executor, Workflows: []squidmesh.Workflow{checkout},
	})
	if err != nil {
		return err
	}
	workers := river.NewWorkers()
	riveradapter.AddWorkers(workers, rt)
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
		Workers: workers,
		Queues:  map[string]river.QueueConfig{"squidmesh": riveradapter.Queue(10)},
	})
	if err != nil {
		return err
	}
	executor.SetClient(client)

	background := context.WithoutCancel(ctx)
	if err := rt.Start(background); err != nil {
		return err
	}
	if err := client.Start(background); err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(background, 20*time.Second)
		defer cancel()
		_ = riveradapter.Stop(ctx, client, rt)
	}()
	started, err := rt.StartRun(ctx, squidmesh.StartParams{Workflow: "checkout", Payload: Order{ID: "1001", Cents: 4990}})
	if err != nil {
		return err
	}
	_, err = rt.AwaitRun(ctx, started.ID)
	return err
}
