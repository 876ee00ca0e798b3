package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/squidmesh/squidmesh-go/migrations"
)

// contenderName marks the connections of what is being measured.
const contenderName = "squidmesh bench contender"

// lab is where measurements take place: a database of its own on a server, and a connection that watches.
type lab struct {
	options
	report *report

	database string
	watch    *pgxpool.Pool // of the database, not counted
	tables   []string      // whose rows a cell leaves behind

	postmaster int  // its pid, if the server is on this machine; else 0
	walinspect bool // what was written can be read from the WAL
	statements bool // pg_stat_statements answers
	clock      time.Duration
	away       time.Duration // the network that lies between contenders and the database, besides the real one
}

func openLab(ctx context.Context, o options) (*lab, error) {
	l := &lab{options: o, report: &report{out: os.Stdout}, database: fmt.Sprintf("squidmesh_bench_%d", os.Getpid())}
	if err := l.onServer(ctx, "create database "+l.database); err != nil {
		return nil, err
	}
	if err := l.prepare(ctx); err != nil {
		return nil, errors.Join(err, l.close())
	}
	return l, nil
}

// onServer executes a statement in the database that the options name.
func (l *lab) onServer(ctx context.Context, sql string) error {
	conn, err := pgx.Connect(ctx, l.url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	return err
}

func (l *lab) prepare(ctx context.Context) (err error) {
	if l.watch, err = l.connect(ctx, 2, nil); err != nil {
		return err
	}
	if err := migrations.UpAllPostgres(ctx, l.watch, nil); err != nil {
		return err
	}
	// What is not there is measured otherwise or not at all.
	_, err = l.watch.Exec(ctx, "create extension pg_walinspect")
	l.walinspect = err == nil
	if _, err = l.watch.Exec(ctx, "create extension pg_stat_statements"); err == nil {
		_, err = l.watch.Exec(ctx, "select count(*) from pg_stat_statements")
	}
	l.statements = err == nil
	rows, err := l.watch.Query(ctx, `select relname::text from pg_stat_user_tables
		where relname like 'squidmesh\_%' and relname not in ('squidmesh_migration', 'squidmesh_spec') or relname = 'river_job'`)
	if err != nil {
		return err
	}
	if l.tables, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
		return err
	}
	if l.postmaster, err = findPostmaster(ctx, l.watch); err != nil {
		return err
	}
	return l.compareClocks(ctx)
}

// compareClocks finds out how far the server's clock is ahead, from the quickest of some questions.
func (l *lab) compareClocks(ctx context.Context) error {
	best := time.Hour
	for range 20 {
		asked := time.Now()
		var now time.Time
		if err := l.watch.QueryRow(ctx, "select clock_timestamp()").Scan(&now); err != nil {
			return err
		}
		if took := time.Since(asked); took < best {
			best, l.clock = took, now.Sub(asked.Add(took/2))
		}
	}
	return nil
}

// connect opens a pool on the lab's database. What it says is counted by m, unless that is nil.
func (l *lab) connect(ctx context.Context, conns int, m *meter) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(l.url)
	if err != nil {
		return nil, err
	}
	config.ConnConfig.Database = l.database
	config.MaxConns, config.MinConns = int32(conns), 0
	if m != nil {
		config.ConnConfig.DialFunc = m.dial
		config.ConnConfig.RuntimeParams["application_name"] = contenderName
	}
	return pgxpool.NewWithConfig(ctx, config)
}

func (l *lab) close() error {
	if l.watch != nil {
		l.watch.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return l.onServer(ctx, "drop database "+l.database+" with (force)")
}

// reset empties what cells have written, so that each begins alike.
func (l *lab) reset(ctx context.Context) error {
	_, err := l.watch.Exec(ctx, "truncate "+strings.Join(l.tables, ", "))
	return err
}

// analyze gives the planner statistics. A statement that was planned for empty tables would scan them as they grow, which nobody's
// production does for long.
func (l *lab) analyze(ctx context.Context) error {
	_, err := l.watch.Exec(ctx, "analyze "+strings.Join(l.tables, ", "))
	return err
}

// describe says what the figures depend on.
func (l *lab) describe() []string {
	setting := func(name string) (value string) {
		_ = l.watch.QueryRow(context.Background(), "select current_setting($1)", name).Scan(&value)
		return value
	}
	have := func(ok bool) string {
		if ok {
			return "yes"
		}
		return "no"
	}
	return []string{
		fmt.Sprintf("%s, %d CPUs, %s/%s, %s", time.Now().Format("2006-01-02"), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version()),
		fmt.Sprintf("PostgreSQL %s, fsync %s, synchronous_commit %s, full_page_writes %s, shared_buffers %s",
			setting("server_version"), setting("fsync"), setting("synchronous_commit"), setting("full_page_writes"), setting("shared_buffers")),
		fmt.Sprintf("pg_walinspect %s, pg_stat_statements %s, server's CPU time %s", have(l.walinspect), have(l.statements), have(l.postmaster > 0)),
		fmt.Sprintf("%d rounds of at least %s, pool of %d connections, MaxWorkers %d", l.rounds, l.window, l.conns, l.workers),
	}
}
