package e2e

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/invariants"
	"github.com/squidmesh/squidmesh-go/migrations"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/sqlitestore"
)

// openFile opens a store on a file, with the tables.
func openFile(t *testing.T, path string) *sqlitestore.Store {
	t.Helper()
	store, err := sqlitestore.Open(t.Context(), path, nil)
	require.NoError(t, err)
	require.NoError(t, migrations.UpAllSQLite(t.Context(), store.DB(), nil))
	return store
}

func requireSound(t *testing.T, store *sqlitestore.Store) {
	t.Helper()
	violations, err := invariants.CheckSQLite(t.Context(), store.DB(), nil)
	require.NoError(t, err)
	require.Empty(t, violations)
}

// heard is a logger that tells when a line begins with a text.
type heard struct {
	slog.Handler
	text string
	tell chan<- struct{}
}

func (h heard) Handle(_ context.Context, r slog.Record) error {
	if strings.HasPrefix(r.Message, h.text) {
		select {
		case h.tell <- struct{}{}:
		default:
		}
	}
	return nil
}

func (h heard) Enabled(context.Context, slog.Level) bool { return true }
func (h heard) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h heard) WithGroup(string) slog.Handler            { return h }

// A file that cannot be written for a while keeps its runs: the end of a step is recorded when it can be, and nothing counts as a
// failure. What is refused meanwhile leaves nothing.
func TestSQLiteFault(t *testing.T) {
	t.Parallel()
	exec := func(t *testing.T, store *sqlitestore.Store, sql string) {
		t.Helper()
		_, err := store.DB().ExecContext(t.Context(), sql)
		require.NoError(t, err)
	}
	for name, c := range map[string]struct {
		says string
		stop func(t *testing.T, store *sqlitestore.Store, path string) (heal func())
	}{
		"Busy": {"locked", func(t *testing.T, store *sqlitestore.Store, path string) func() {
			exec(t, store, "pragma busy_timeout = 1")
			other, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(30000)")
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, other.Close()) })
			conn, err := other.Conn(t.Context())
			require.NoError(t, err)
			_, err = conn.ExecContext(t.Context(), "begin immediate")
			require.NoError(t, err)
			return func() {
				_, err := conn.ExecContext(t.Context(), "rollback")
				require.NoError(t, err)
				require.NoError(t, conn.Close())
			}
		}},
		"Full": {"full", func(t *testing.T, store *sqlitestore.Store, _ string) func() {
			var pages int
			require.NoError(t, store.DB().QueryRowContext(t.Context(), "pragma page_count").Scan(&pages))
			exec(t, store, fmt.Sprintf("pragma max_page_count = %d", pages))
			return func() { exec(t, store, "pragma max_page_count = 1073741823") }
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "fault.db")
			store := openFile(t, path)
			t.Cleanup(func() { require.NoError(t, store.Close()) })
			entered, leave, notYet := make(chan struct{}, 20), make(chan struct{}), make(chan struct{}, 1)
			large := strings.Repeat("x", 240<<10) // takes pages
			p := startProgram(t, &squidmesh.Config[*sql.Tx]{
				Store: store, Logger: slog.New(heard{text: "squidmesh: end of step not recorded yet", tell: notYet}),
				Workflows: []squidmesh.Workflow{{Name: "work", Triggers: []squidmesh.Trigger{
					squidmesh.Manual("by_hand", squidmesh.Payload[struct {
						Text string `json:"text"`
					}]()),
				}, Steps: []squidmesh.Step{{
					Name: "work", Output: "text2", Retry: squidmesh.Constant(2, 0),
					Do: squidmesh.Func(func(context.Context, struct{}) (string, error) {
						entered <- struct{}{}
						<-leave
						return large, nil
					}),
				}}}},
			}, riversqlite.New(store.DB()))
			start := squidmesh.StartParams{Workflow: "work", Payload: map[string]string{"text": large}}
			run, err := p.StartRun(t.Context(), start)
			require.NoError(t, err)
			<-entered

			heal := c.stop(t, store, path)
			runs := 0
			for ; err == nil && runs < 20; runs++ { // some fit into pages that are free
				_, err = p.StartRun(t.Context(), start)
			}
			require.ErrorContains(t, err, c.says)
			close(leave)
			select {
			case <-notYet:
			case <-time.After(5 * time.Minute):
				require.Fail(t, "nobody says that the end of the step cannot be recorded")
			}
			heal()

			awaitStatus(t, p, run.ID, squidmesh.RunCompleted)
			in, err := p.InspectRun(t.Context(), run.ID, &squidmesh.InspectOptions{History: true})
			require.NoError(t, err)
			require.Zero(t, in.Steps[0].Do.Failures)
			require.Zero(t, in.Steps[0].Do.Losses)
			page, err := p.ListRuns(t.Context(), squidmesh.ListParams{})
			require.NoError(t, err)
			require.Len(t, page.Runs, runs)
			requireSound(t, store)
		})
	}
}

// A process that works on a file is killed over and over, whatever it is doing. What it wrote is whole, each step wrote once, and the
// last one ends all that was begun.
func TestKilledOverAndOver_SQLite(t *testing.T) {
	pay := squidmesh.EffectTx(func(ctx context.Context, tx *sql.Tx, _ struct{}) error {
		return paySQLite(ctx, tx, squidmesh.IdempotencyKey(ctx))
	})
	config := func(store *sqlitestore.Store) *squidmesh.Config[*sql.Tx] {
		return &squidmesh.Config[*sql.Tx]{Store: store, Workflows: []squidmesh.Workflow{{Name: "pay", Triggers: byHand, Steps: []squidmesh.Step{
			{Name: "one", Next: "two", Do: pay},
			{Name: "two", Next: "three", Do: nothing()},
			{Name: "three", Do: pay},
		}}}}
	}
	if os.Getenv(childEnv) == t.Name() {
		store := openFile(t, os.Getenv(targetEnv))
		p := startProgram(t, config(store), riversqlite.New(store.DB()))
		for i := 0; ; i++ {
			_, err := p.StartRun(t.Context(), squidmesh.StartParams{Workflow: "pay"})
			require.NoError(t, err)
			fmt.Println("started", i)
		}
	}
	t.Parallel()

	path := filepath.Join(t.TempDir(), "killed.db")
	store := openFile(t, path)
	_, err := store.DB().ExecContext(t.Context(), "create table payment (key text)")
	require.NoError(t, err)
	require.NoError(t, store.Close())
	for _, starts := range []int{1, 7, 20, 30} {
		killAfter(t, path, starts)
	}

	store = openFile(t, path)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	requireSound(t, store)
	p := startProgram(t, config(store), riversqlite.New(store.DB()))
	var runs []squidmesh.Run
	for params := (squidmesh.ListParams{Limit: 1000}); ; {
		page, err := p.ListRuns(t.Context(), params)
		require.NoError(t, err)
		runs = append(runs, page.Runs...)
		if params.Cursor = page.Next; params.Cursor == "" {
			break
		}
	}
	require.GreaterOrEqual(t, len(runs), 58)
	for _, run := range runs {
		awaitStatus(t, p, run.ID, squidmesh.RunCompleted)
	}
	var payments, distinct int
	require.NoError(t, store.DB().QueryRowContext(t.Context(), "select count(*), count(distinct key) from payment").Scan(&payments, &distinct))
	require.Equal(t, []int{2 * len(runs), 2 * len(runs)}, []int{payments, distinct})
	requireSound(t, store)
}

// killAfter runs the test in a process of its own, and kills it after it has started that many runs.
func killAfter(t *testing.T, target string, starts int) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.timeout=10m")
	child.Env = append(os.Environ(), childEnv+"="+t.Name(), targetEnv+"="+target)
	output, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	last := fmt.Sprintf("started %d", starts-1)
	lines := bufio.NewScanner(output)
	for lines.Scan() && lines.Text() != last {
	}
	require.Equal(t, last, lines.Text(), "the child ended before it was killed")
	require.NoError(t, child.Process.Kill())
	require.Error(t, child.Wait())
}
