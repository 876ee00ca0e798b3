package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh/sqlitestore"
)

// onBoth runs a test on SQLite and on a new PostgreSQL database.
func onBoth(t *testing.T, test func(t *testing.T, databaseURL string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, "") })
	t.Run("postgres", func(t *testing.T) { test(t, mustDatabase(t)) })
}

// mustDatabase makes a database that is dropped when the test ends.
func mustDatabase(t *testing.T) string {
	t.Helper()
	server := os.Getenv("TEST_DATABASE_URL")
	if server == "" {
		t.Fatal("This test needs PostgreSQL: set TEST_DATABASE_URL, or run `make test`, which starts a server for all tests.")
	}
	name := fmt.Sprintf("squidmesh_demo_%d_%d", os.Getpid(), time.Now().UnixNano())
	exec := func(query string) {
		ctx := context.Background()
		conn, err := pgx.Connect(ctx, server)
		require.NoError(t, err)
		defer func() { _ = conn.Close(ctx) }()
		_, err = conn.Exec(ctx, query)
		require.NoError(t, err)
	}
	exec("create database " + name)
	t.Cleanup(func() { exec("drop database " + name + " with (force)") })
	u, err := url.Parse(server)
	require.NoError(t, err)
	u.Path = "/" + name
	return u.String()
}

// buildDir is removed when all tests have ended.
var buildDir string

func TestMain(m *testing.M) {
	var err error
	if buildDir, err = os.MkdirTemp("", "squidmesh-demo-test-"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(buildDir)
	os.Exit(code)
}

// binary is the demo as users run it, built once. SQLite is slow under the race detector, which this leaves out.
var binary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(buildDir, "demo")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the demo: %w\n%s", err, out)
	}
	return path, nil
})

// mustCommand is the demo as a process.
func mustCommand(t *testing.T, databaseURL string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := binary()
	require.NoError(t, err)
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), "DATABASE_URL="+databaseURL)
	return cmd
}

// shelf is a writer that can be read while it is written to.
type shelf struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *shelf) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(p)
}

func (s *shelf) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

// mustReport reads what --json printed, by order and workflow.
func mustReport(t *testing.T, out string) map[string]reported {
	t.Helper()
	lines := map[string]reported{}
	dec := json.NewDecoder(strings.NewReader(out))
	for {
		var r reported
		err := dec.Decode(&r)
		if errors.Is(err, io.EOF) {
			return lines
		}
		require.NoError(t, err, out)
		lines[strings.TrimSpace(r.Order+" "+r.Workflow)] = r
	}
}

func (r reported) step(name string) reportedStep {
	for _, st := range r.Steps {
		if st.Name == name {
			return st
		}
	}
	return reportedStep{}
}

func TestOnce_EveryScenarioEndsAsItMust(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, databaseURL string) {
		var stdout, stderr bytes.Buffer
		cmd := mustCommand(t, databaseURL, "--once", "--json", "--dir", t.TempDir())
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		require.NoError(t, cmd.Run(), stderr.String())

		report := mustReport(t, stdout.String())
		require.Len(t, report, 29)
		for _, r := range report {
			require.Len(t, r.RunID, 36, r.Order)
			require.NotEmpty(t, r.Steps, r.Order)
		}
		require.Equal(t, 2, report["order-1002 checkout"].step("authorize").Attempts)
		require.Equal(t, 3, report["order-1010 checkout"].step("authorize").Attempts)
		require.Equal(t, 2, report["order-1007 checkout"].step("capture").Attempts)
		require.Equal(t, reportedStep{Name: "capture", Status: "completed", Attempts: 1, Undo: "completed"},
			report["order-1017 checkout"].step("capture"))
		require.Equal(t, "completed", report["nightly_digest"].Status)
	})
}

func TestOnce_BadOrdersStopNothingElse(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "orders.json")
	require.NoError(t, os.WriteFile(path, []byte(`[
		{"order": "a-1", "customer": "A", "lines": [{"isbn": "978-0-13-419044-0", "quantity": 1}], "card": "4242 4242 4242 4242",
			"bill_to": {"city": "Berlin", "country": "DE"}, "ship_to": {"city": "Berlin", "country": "DE"}},
		{"order": "a-2", "customer": "B", "lines": [{"isbn": "9780134190441", "quantity": 1}], "card": "4242424242424242",
			"bill_to": {"city": "Berlin", "country": "DE"}, "ship_to": {"city": "Pristina", "country": "XK"}},
		{"order": "a-3", "card": "4242424242424241"},
		"rubbish"
	]`), 0o600))
	var stdout, stderr shelf
	code := run([]string{"--once", "--json", "--orders", path}, "", nil, &stdout, &stderr)
	require.Zero(t, code, stderr.String())
	require.Contains(t, stderr.String(), "demo: order refused: a-3: card number ending in 4241: check digit is wrong\n")
	require.Contains(t, stderr.String(), "demo: order refused: entry 4: is no order")

	report := mustReport(t, stdout.String())
	require.Equal(t, "completed", report["a-1 checkout"].Status)
	require.Equal(t, "failed", report["a-2 checkout"].Status)
	require.Equal(t, "invalid_isbn", report["a-2 checkout"].Reason)
	require.Equal(t, "refused", report["a-3 checkout"].Status)
}

func TestOnce_SaysWhatIsNotAsItMustBe(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "orders.json")
	require.NoError(t, os.WriteFile(path, []byte(`[
		{"order": "a-1", "customer": "A", "lines": [{"isbn": "9780134190440", "quantity": 1}], "card": "4000000000000002",
			"bill_to": {"city": "Berlin", "country": "DE"}, "ship_to": {"city": "Berlin", "country": "DE"},
			"expect": {"status": "completed"}}
	]`), 0o600))
	var stdout, stderr shelf
	require.Equal(t, 1, run([]string{"--once", "--orders", path}, "", nil, &stdout, &stderr))
	require.Contains(t, stdout.String(), "WRONG  a-1 checkout: is failed, must be completed (reason card_declined)")
}

func TestRun_RefusesWhatItCannotDo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, c := range []struct{ args, url, want string }{
		{"--once --orders " + dir + "/nowhere.json", "", "demo: read orders: open "},
		{"--once --fresh", "", "demo: --once always takes a fresh database"},
		{"--once --until-done", "", "choose"},
		{"--json", "", "demo: --json needs --once or --until-done"},
		{"orders.json", "", `demo: unexpected argument "orders.json"`},
		{"--colour", "", "flag provided but not defined: -colour"},
		{"--once", "postgres://localhost:port/x", "demo: DATABASE_URL: "},
		{"--once", "postgres://nobody@127.0.0.1:1/x?connect_timeout=1", "demo: DATABASE_URL: "},
	} {
		var stdout, stderr shelf
		require.Equal(t, 1, run(strings.Fields(c.args), c.url, nil, &stdout, &stderr), c.args)
		require.Contains(t, stderr.String(), c.want)
	}
	var stdout, stderr shelf
	require.Zero(t, run([]string{"--help"}, "", nil, &stdout, &stderr))
	require.Contains(t, stderr.String(), "--once")
}

func TestRun_RefusesASecondStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store, err := sqlitestore.Open(t.Context(), filepath.Join(dir, databaseFile), nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	for _, flag := range []string{"--until-done", "--fresh"} {
		var stdout, stderr shelf
		require.Equal(t, 1, run([]string{flag, "--dir", dir}, "", nil, &stdout, &stderr))
		require.Contains(t, stderr.String(), sqlitestore.ErrLocked.Error())
	}
}

// A person at the console decides, asks and quits; the next start goes on with what is open.
func TestConsole(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, databaseURL string) {
		dir := t.TempDir()
		path := filepath.Join(dir, "orders.json")
		const de, us = `{"city": "Berlin", "country": "DE"}`, `{"city": "Boston", "country": "US"}`
		const lines = `"lines": [{"isbn": "9780134190440", "quantity": 1}], "card": "4242424242424242"`
		require.NoError(t, os.WriteFile(path, []byte(`[
			{"order": "a-1", "customer": "A", `+lines+`, "bill_to": `+de+`, "ship_to": `+de+`},
			{"order": "a-2", "customer": "B", `+lines+`, "bill_to": `+de+`, "ship_to": `+us+`},
			{"order": "a-3", "customer": "C", `+lines+`, "bill_to": `+de+`, "ship_to": `+us+`}
		]`), 0o600))
		s := startSession(t, databaseURL, "--dir", dir, "--orders", path)
		s.sees("a-1 completed 8 steps in")
		s.sees("a-2 waiting review: billing DE, shipping US, export to US")
		s.sees("a-3 waiting")
		s.say("explain a-2")
		s.sees("what would work now: approve, reject, cancel")
		s.say("approve a-2 a good customer")
		s.sees("a-2 completed 9 steps in")
		s.say("approve a-2 again")
		s.sees("run has finished")
		s.say("sell a-2")
		s.sees(`there is no command "sell" you can say explain, approve, reject, cancel, refund, replay, list, digest, help, quit, exit`)
		s.say("explian a-2")
		s.sees(`there is no command "explian", did you mean explain?`)
		s.say("approve")
		s.sees("approve: say which order; list shows all")
		s.say("cancel a-9")
		s.sees(`there is no order "a-9": list shows all`)
		s.say("replay a-1")
		s.sees("which cannot be taken back")
		s.say("replay a-1 anyway")
		s.sees("a-1 failed reserve: a-1 has got its books")
		s.say("refund a-1 torn")
		s.sees("a-1 refund waiting approve_refund: torn")
		s.say("digest")
		s.sees("nightly_digest completed 2 steps in")
		s.quit()

		s = startSession(t, databaseURL, "--dir", dir, "--orders", path)
		s.sees("recovered 2 runs from the last start:")
		s.sees("3 orders were there already, 0 are new")
		s.say("reject a-3 never heard of them")
		s.sees("a-3 completed review: rejected by you: never heard of them; 5 steps in")
		s.say("list")
		s.sees("a-1 refund paused")
		s.quit()
	})
}

// Whatever word comes first, whether an order follows it or not, the answer names the command that was probably meant, and all.
func TestUnheard(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]string{
		"lst":     "did you mean list?",
		"Explain": "did you mean explain?",
		"aprove":  "did you mean approve?",
		"what":    `there is no command "what"` + "\n",
		"a-1":     `there is no command "a-1"` + "\n",
	} {
		for _, line := range [][]string{{word}, {word, "a-1"}} {
			err := new(night[any]).obey(t.Context(), line)
			require.ErrorContains(t, err, want)
			require.ErrorContains(t, err, "you can say explain, approve, ")
		}
	}
	for _, command := range slices.Concat(alone, ofOrders) {
		require.True(t, command == "help" || command == "exit" || strings.Contains(help, "\n  "+command+" "), "help does not list %s", command)
	}
}

// session is a person at the console of a running demo.
type session struct {
	*testing.T
	in     *io.PipeWriter
	out    shelf
	errs   shelf
	exited chan int
}

func startSession(t *testing.T, databaseURL string, args ...string) *session {
	t.Helper()
	in, w := io.Pipe()
	s := &session{T: t, in: w, exited: make(chan int, 1)}
	go func() { s.exited <- run(args, databaseURL, in, &s.out, &s.errs) }()
	return s
}

// sees waits until the demo has printed something, whatever the spaces in it. Lines may come in any order.
func (s *session) sees(want string) {
	s.Helper()
	printed := func() bool { return strings.Contains(strings.Join(strings.Fields(s.out.String()), " "), want) }
	require.Eventually(s, printed, time.Minute, 20*time.Millisecond, "%q was not printed", want)
}

func (s *session) say(line string) {
	s.Helper()
	_, err := io.WriteString(s.in, line+"\n")
	require.NoError(s, err)
}

func (s *session) quit() {
	s.Helper()
	s.say("quit")
	select {
	case code := <-s.exited:
		require.Zero(s, code, s.errs.String())
	case <-time.After(time.Minute):
		require.Fail(s, "the demo does not quit")
	}
}
