// Package pgcluster starts a PostgreSQL of its own, which may be restarted and filled up at will. The soak and tests only.
package pgcluster

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Options change a cluster. The zero Options are the defaults.
type Options struct {
	// Fsync survives a crash of the machine, at a price.
	Fsync bool

	// MaxConnections defaults to 200.
	MaxConnections int
}

// Cluster is a running server with its data. Its methods are safe for concurrent use, except that one restart follows another.
type Cluster struct {
	bin, dir string
	port     int
	password string
	options  Options

	mu      sync.Mutex
	outages []outage
}

// outage is when the server was away; until is zero while it is.
type outage struct{ from, until time.Time }

// New makes a cluster in an empty directory, whose parents anybody may enter, and starts it. COMMIT always waits for the write-ahead
// log, so that nothing that was acknowledged is lost when the server is killed; without Fsync only a crash of the machine could lose
// it. The caller stops what it returns, also with an error.
func New(ctx context.Context, dir string, options Options) (*Cluster, error) {
	bin, err := findPostgres()
	if err != nil {
		return nil, err
	}
	options.MaxConnections = cmp.Or(options.MaxConnections, 200)
	c := &Cluster{bin: bin, dir: dir, password: rand.Text(), options: options}
	if err := lend(dir, serverUser()); err != nil {
		return nil, err
	}
	if err := c.initialize(ctx); err != nil {
		return nil, err
	}
	return c, c.open(ctx)
}

// NewStandby makes a copy of a cluster in a directory as New wants one, and starts it as a synchronous standby: from then on the cluster
// acknowledges no COMMIT that the standby has not stored. The roles and the password are the cluster's. The caller stops what it returns,
// also with an error.
func (c *Cluster) NewStandby(ctx context.Context, dir string) (*Cluster, error) {
	s := &Cluster{bin: c.bin, dir: dir, password: c.password, options: c.options}
	if err := lend(dir, serverUser()); err != nil {
		return nil, err
	}
	err := s.command(ctx, "pg_basebackup", "-D", s.data(), "-h", "127.0.0.1", "-p", strconv.Itoa(c.port), "-U", "postgres",
		"-R", "-X", "stream", "-c", "fast", "--no-sync")
	if err != nil {
		return nil, err
	}
	if err := s.open(ctx); err != nil {
		return s, err
	}
	setting := filepath.Join(c.data(), "postgresql.auto.conf")
	file, err := os.OpenFile(setting, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return s, err
	}
	_, err = file.WriteString("synchronous_standby_names = '*'\n")
	if err = errors.Join(err, file.Close()); err != nil {
		return s, err
	}
	return s, c.command(ctx, "pg_ctl", "-D", c.data(), "reload")
}

// Promote makes a standby accept writes, once whom it follows has stopped.
func (c *Cluster) Promote(ctx context.Context) error {
	return c.command(ctx, "pg_ctl", "-D", c.data(), "-w", "-t", "60", "promote")
}

// open starts the server on a free port, which somebody may take meanwhile.
func (c *Cluster) open(ctx context.Context) error {
	for tries := 1; ; tries++ {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		c.port = listener.Addr().(*net.TCPAddr).Port
		if err := listener.Close(); err != nil {
			return err
		}
		if err = c.start(ctx); err == nil || tries == 5 || !taken(c.Address()) {
			return err
		}
	}
}

// initialize makes the cluster's data. Every user of this machine reaches the server's port, so all roles need the password.
func (c *Cluster) initialize(ctx context.Context) error {
	password := filepath.Join(c.dir, "password")
	if err := os.WriteFile(password, []byte(c.password), 0o600); err != nil {
		return err
	}
	err := lend(password, serverUser())
	if err == nil {
		err = c.command(ctx, "initdb", "-D", c.data(), "-U", "postgres", "-A", "scram-sha-256", "--pwfile="+password,
			"-E", "UTF8", "--locale=C", "--no-sync")
	}
	return errors.Join(err, os.Remove(password))
}

func taken(address string) bool {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return true
	}
	_ = listener.Close()
	return false
}

func (c *Cluster) data() string { return filepath.Join(c.dir, "data") }

// Address is where the server listens, host:port.
func (c *Cluster) Address() string { return fmt.Sprintf("127.0.0.1:%d", c.port) }

// Password is that of the role postgres, and of every other that is to connect with a URL of this cluster.
func (c *Cluster) Password() string { return c.password }

// URL is what a role connects with.
func (c *Cluster) URL(role string) string { return c.URLBy(c.Address(), role) }

// URLBy is what a role connects with by way of a proxy's address, host:port.
func (c *Cluster) URLBy(address, role string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(role, c.password), Host: address, Path: "postgres", RawQuery: "sslmode=disable",
	}
	return u.String()
}

func (c *Cluster) start(ctx context.Context) error {
	settings := fmt.Sprintf("-p %d -c listen_addresses=127.0.0.1 -c unix_socket_directories=%s -c max_connections=%d"+
		" -c synchronous_commit=on -c fsync=%t -c full_page_writes=%[4]t -c log_min_messages=error",
		c.port, c.dir, c.options.MaxConnections, c.options.Fsync)
	return c.command(ctx, "pg_ctl", "-D", c.data(), "-l", filepath.Join(c.dir, "postgres.log"), "-w", "-t", "60", "-o", settings, "start")
}

// Restart stops the server, in the mode fast (which ends all sessions) or immediate (as if it had crashed), and starts it again.
func (c *Cluster) Restart(ctx context.Context, mode string) error {
	c.mu.Lock()
	c.outages = append(c.outages, outage{from: time.Now()})
	c.mu.Unlock()
	err := c.command(ctx, "pg_ctl", "-D", c.data(), "-m", mode, "-w", "-t", "60", "stop")
	if err = errors.Join(err, c.start(ctx)); err != nil {
		return fmt.Errorf("restart PostgreSQL (%s): %w", mode, err)
	}
	c.mu.Lock()
	c.outages[len(c.outages)-1].until = time.Now()
	c.mu.Unlock()
	return nil
}

// Back is the moment from which the server was there until at, if it was away between from and at; else from.
func (c *Cluster) Back(from, at time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, o := range c.outages {
		if o.from.Before(at) && o.until.After(from) {
			from = o.until
		}
	}
	return from
}

// Stop ends the server at once, if it has not ended. The directory stays.
func (c *Cluster) Stop(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(c.data(), "postmaster.pid")); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return c.command(ctx, "pg_ctl", "-D", c.data(), "-m", "immediate", "-w", "stop")
}

// command runs one of PostgreSQL's programs. Its output goes to a file, since a server that is started would keep a pipe open.
func (c *Cluster) command(ctx context.Context, name string, args ...string) error {
	log, err := os.CreateTemp("", "pgcluster-"+name)
	if err != nil {
		return err
	}
	defer os.Remove(log.Name())
	defer log.Close()
	cmd := exec.CommandContext(ctx, filepath.Join(c.bin, name), args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = c.dir, log, log
	cmd.Env = append(os.Environ(), "PGPASSWORD="+c.password)
	runAs(cmd, serverUser())
	if err := cmd.Run(); err != nil {
		said, _ := os.ReadFile(log.Name())
		return fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(string(said)))
	}
	return nil
}

// findPostgres finds the programs of the server that scripts/with-postgres was told to use, or the newest that is installed.
func findPostgres() (string, error) {
	if bin := os.Getenv("WITH_POSTGRES_BIN"); bin != "" {
		return bin, nil
	}
	candidates, _ := filepath.Glob("/usr/lib/postgresql/*/bin/pg_ctl")
	for _, pattern := range []string{"/usr/pgsql-*/bin/pg_ctl", "/opt/homebrew/opt/postgresql*/bin/pg_ctl", "/usr/local/opt/postgresql*/bin/pg_ctl"} {
		more, _ := filepath.Glob(pattern)
		candidates = append(candidates, more...)
	}
	if len(candidates) > 0 {
		return filepath.Dir(slices.Max(candidates)), nil
	}
	if found, err := exec.LookPath("pg_ctl"); err == nil {
		return filepath.Dir(found), nil
	}
	return "", errors.New("no PostgreSQL server found: install one, or put its pg_ctl into PATH")
}
