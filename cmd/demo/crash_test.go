package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/cmd/demo/internal/payments"
)

// The demo is killed in the middle of a capture that the provider has done and not answered.
func TestCrash_KilledInMidCaptureChargesOnce(t *testing.T) {
	t.Parallel()
	path := mustSlowOrder(t)
	onBoth(t, func(t *testing.T, databaseURL string) {
		c := crash{T: t, dir: t.TempDir(), databaseURL: databaseURL, orders: path}
		c.killWhen("in the slow capture", inSlowCapture)
		report := c.finish()
		require.Equal(t, "completed", report["slow-1 checkout"].Status)
		require.Equal(t, 2, report["slow-1 checkout"].step("capture").Attempts, "the killed attempt must have been followed by another")
		c.chargedOnce()
	})
}

// The first signal stops the demo gracefully in the middle of the same capture.
func TestStop_GivesBackWhatRuns(t *testing.T) {
	t.Parallel()
	path := mustSlowOrder(t)
	onBoth(t, func(t *testing.T, databaseURL string) {
		c := crash{T: t, dir: t.TempDir(), databaseURL: databaseURL, orders: path}
		var stdout bytes.Buffer
		var stderr shelf
		cmd := mustCommand(t, databaseURL, "--dir", c.dir, "--orders", path, "--slow", "1h")
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		require.NoError(t, cmd.Start())
		c.Cleanup(func() { _ = cmd.Process.Kill() })
		require.Eventually(t, func() bool { return inSlowCapture(c.book()) }, time.Minute, time.Millisecond)
		before := stderr.String()
		require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
		require.NoError(t, cmd.Wait(), stderr.String())
		require.Contains(t, stdout.String(), "given back")
		require.NotContains(t, stderr.String(), "demo:")
		require.Empty(t, complaints(strings.TrimPrefix(stderr.String(), before)))

		require.Equal(t, "completed", c.finish()["slow-1 checkout"].Status)
		c.chargedOnce()
	})
}

// complaints are the lines of a log, without those that a machine which has no time for the demo is to blame for.
func complaints(log string) (lines []string) {
	for line := range strings.Lines(log) {
		if strings.Contains(line, "level=") && !strings.Contains(line, "squidmesh: tick") && !strings.Contains(line, "lease cannot be proven") {
			lines = append(lines, line)
		}
	}
	return lines
}

// mustSlowOrder writes a file with one order, whose capture is answered late.
func mustSlowOrder(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "orders.json")
	require.NoError(t, os.WriteFile(path, []byte(`[
		{"order": "slow-1", "customer": "S", "lines": [{"isbn": "9780134190440", "quantity": 1}], "card": "4242424242424242",
			"bill_to": {"city": "Berlin", "country": "DE"}, "ship_to": {"city": "Berlin", "country": "DE"}, "sandbox": "slow_capture"}
	]`), 0o600))
	return path
}

// inSlowCapture says that a payment was captured that is answered late.
func inSlowCapture(book payments.Book) bool {
	for _, in := range book.Intents {
		if in.Metadata[payments.MetadataSandbox] == payments.SlowCapture && in.Status == payments.Succeeded {
			return true
		}
	}
	return false
}

// crash is a demo that is killed and started again on the same directory.
type crash struct {
	*testing.T
	dir, databaseURL string
	orders           string // file; empty for the demo's own
}

func (c crash) command(args ...string) *exec.Cmd {
	c.Helper()
	return mustCommand(c.T, c.databaseURL, append([]string{"--until-done", "--json", "--dir", c.dir, "--orders", c.orders}, args...)...)
}

// killWhen starts the demo, with slow answers that never come, and kills it at the moment that is asked for.
func (c crash) killWhen(name string, reached func(payments.Book) bool) {
	c.Helper()
	var stderr bytes.Buffer
	cmd := c.command("--slow", "1h")
	cmd.Stderr = &stderr
	require.NoError(c, cmd.Start())
	c.Cleanup(func() { _ = cmd.Process.Kill() })
	require.Eventually(c, func() bool { return reached(c.book()) }, time.Minute, time.Millisecond, name)
	require.NoError(c, cmd.Process.Kill())
	err := cmd.Wait()
	require.ErrorContains(c, err, "killed", "%s: the demo ended by itself: %s", name, &stderr)
}

// finish starts the demo once more and lets it end.
func (c crash) finish() map[string]reported {
	c.Helper()
	var stdout, stderr bytes.Buffer
	cmd := c.command()
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	require.NoError(c, cmd.Run(), stderr.String())
	return mustReport(c.T, stdout.String())
}

// ledger is the file of the provider; empty before there is one.
func (c crash) ledger() string {
	files, err := filepath.Glob(filepath.Join(c.dir, "payments*.jsonl"))
	require.NoError(c, err)
	if len(files) == 0 {
		return ""
	}
	return files[0]
}

// chargedOnce holds the provider's ledger to having charged no order twice. That the right ones were charged is the demo's own
// audit, without which it would not have ended well.
func (c crash) chargedOnce() {
	c.Helper()
	book := c.book()
	times := map[string]int{}
	for id, in := range book.Intents {
		times[in.Metadata["order"]] += book.Captures[id]
	}
	require.NotEmpty(c, times)
	for order, n := range times {
		require.LessOrEqual(c, n, 1, order)
	}
}

// book adds up the ledger as it is; an empty one before there is any.
func (c crash) book() payments.Book {
	c.Helper()
	path := c.ledger()
	if path == "" {
		return payments.Book{}
	}
	book, err := payments.ReadLedger(path)
	require.NoError(c, err)
	return book
}
