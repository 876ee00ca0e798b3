package e2e

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/internal/pgcluster"
	"github.com/squidmesh/squidmesh-go/invariants"
	"github.com/squidmesh/squidmesh-go/migrations"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

// outage is a program whose database is a server of the test's own, and fails while the program is at work.
type outage struct {
	*testing.T
	cluster *pgcluster.Cluster
	admin   *pgxpool.Pool
	program[pgx.Tx]
	busy     atomic.Int64 // steps that have begun
	troubles troubles     // that the program has told of
	begun    []squidmesh.RunID
}

// recovery is how long after the database is back everything must have gone on: ten seconds, on a machine that has nothing else to do.
const recovery = 30 * time.Second

// newOutage starts the server and the program, which is a role of its own, so that the test can get in where the program cannot.
func newOutage(t *testing.T) *outage {
	cluster := dbtest.Cluster(t, pgcluster.Options{MaxConnections: 40})
	o := &outage{T: t, cluster: cluster, admin: openPool(t, cluster, "postgres", 3)}
	require.NoError(t, migrations.UpAllPostgres(t.Context(), o.admin, nil))
	o.exec(`
		create table mark (step text);
		create role other login password '` + cluster.Password() + `';
		create role program login password '` + cluster.Password() + `';
		grant all on all tables in schema public to program;
		grant all on all sequences in schema public to program`)
	pool := openPool(t, cluster, "program", 8)
	o.program = startProgram(t, &squidmesh.Config[pgx.Tx]{
		Store: pgstore.New(pool, nil), Logger: slog.New(&o.troubles), Workflows: []squidmesh.Workflow{{
			Name: "work", Triggers: byHand, Steps: []squidmesh.Step{
				{Name: "first", Do: squidmesh.Effect(o.work), Next: "body"},
				{Name: "body", Do: squidmesh.EffectTx(o.body), Next: "nap"},
				{Name: "nap", Do: squidmesh.Wait(300 * time.Millisecond), Next: "both"},
				{Name: "both", Next: "last", Parallel: []squidmesh.Step{{Name: "a", Do: squidmesh.Effect(o.work)}, {Name: "b", Do: squidmesh.EffectTx(o.body)}}},
				{Name: "last", Do: squidmesh.Effect(o.work)},
			},
		}},
	}, riverpgxv5.New(pool))
	return o
}

// troubles is a log that only counts what is wrong.
type troubles struct{ atomic.Int64 }

func (*troubles) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }
func (n *troubles) Handle(context.Context, slog.Record) error      { n.Add(1); return nil }
func (n *troubles) WithAttrs([]slog.Attr) slog.Handler             { return n }
func (n *troubles) WithGroup(string) slog.Handler                  { return n }

func openPool(t *testing.T, cluster *pgcluster.Cluster, user string, connections int32) *pgxpool.Pool {
	config, err := pgxpool.ParseConfig(cluster.URL(user) + "&connect_timeout=5")
	require.NoError(t, err)
	config.MaxConns = connections
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

// work takes a moment, so that some of it is under way whenever the database fails.
func (o *outage) work(ctx context.Context, _ struct{}) error {
	o.busy.Add(1)
	timer := time.NewTimer(5 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (o *outage) body(ctx context.Context, tx pgx.Tx, _ struct{}) error {
	info, _ := squidmesh.Info(ctx)
	_, err := tx.Exec(ctx, "insert into mark values ($1)", info.RunID.String()+info.Step)
	return err
}

// load starts runs, and returns once some are under way.
func (o *outage) load(runs int) {
	o.Helper()
	o.busy.Store(0)
	for range runs {
		run, err := o.StartRun(o.Context(), squidmesh.StartParams{Workflow: "work"})
		require.NoError(o, err)
		o.begun = append(o.begun, run.ID)
	}
	require.Eventually(o, func() bool { return o.busy.Load() > 0 }, recovery, time.Millisecond)
}

// requireRecovered waits for the end of all runs. Nothing was lost, nothing done twice, and the steps were not charged for it.
func (o *outage) requireRecovered(back time.Time) {
	o.Helper()
	ctx, cancel := context.WithTimeout(o.Context(), 2*recovery)
	defer cancel()
	for _, id := range o.begun {
		for {
			run, err := o.AwaitRun(ctx, id)
			if err != nil && ctx.Err() == nil {
				continue // the pool still has connections that broke
			}
			require.NoError(o, err, "run %s is stuck", id)
			require.Equal(o, squidmesh.RunCompleted, run.Status, "%+v", run.Reason)
			break
		}
	}
	took := time.Since(back)
	o.Logf("all %d runs have ended %s after the database was back", len(o.begun), took.Round(time.Millisecond))
	require.Less(o, took, recovery)

	var charged, marks int
	require.NoError(o, o.admin.QueryRow(ctx, "select sum(failures + losses), (select count(*) from mark) from squidmesh_step").Scan(&charged, &marks))
	require.Zero(o, charged, "failures and losses")
	require.Equal(o, 2*len(o.begun), marks)
	violations, err := invariants.CheckPostgres(ctx, o.admin, &invariants.Options{Grace: -1})
	require.NoError(o, err)
	require.Empty(o, violations)
}

func (o *outage) exec(sql string) {
	o.Helper()
	_, err := o.admin.Exec(o.Context(), sql)
	require.NoError(o, err)
}

// last keeps the database broken until the program has met that often: as the server counts it, or as the program tells.
func (o *outage) last() {
	o.Helper()
	met := func() int64 {
		var rolledBack int64
		err := o.admin.QueryRow(o.Context(), "select xact_rollback from pg_stat_database where datname = 'postgres'").Scan(&rolledBack)
		require.NoError(o, err)
		return rolledBack + o.troubles.Load()
	}
	enough := met() + 20
	require.Eventually(o, func() bool { return met() >= enough }, 3*recovery, 20*time.Millisecond, "the program does not notice")
}

// One program lives through everything by which a PostgreSQL can fail without losing what it has committed.
func TestOutage_IsOverWhenTheDatabaseIsBack(t *testing.T) {
	t.Parallel()

	o := newOutage(t)
	for _, fault := range []struct {
		name string
		fail func(o *outage)
	}{
		{"restart fast", func(o *outage) { o.restart("fast") }},
		{"restart immediate", func(o *outage) { o.restart("immediate") }},
		{"terminated backends", func(o *outage) {
			for range 5 {
				o.terminate(o.admin)
				o.load(5)
			}
		}},
		{"too many connections", tooManyConnections},
		{"lock timeout", func(o *outage) { o.withSetting("lock_timeout = 20", o.lockedOut) }},
		{"statement timeout", func(o *outage) { o.withSetting("statement_timeout = 500", o.lockedOut) }},
		// A trigger gives the server's code for a full disk, wherever an audit entry is written. No disk is full.
		{"SQLSTATE 53100, disk full", func(o *outage) {
			o.exec(`create function full_disk() returns trigger language plpgsql as
				$$ begin raise exception 'could not extend file' using errcode = '53100'; end $$;
				create trigger full_disk before insert on squidmesh_event execute function full_disk()`)
			o.last()
			o.exec("drop trigger full_disk on squidmesh_event")
		}},
	} {
		t.Run(fault.name, func(t *testing.T) {
			o.T = t
			o.load(40)
			fault.fail(o)
			o.requireRecovered(time.Now())
		})
		o.T = t
	}
}

func (o *outage) restart(mode string) {
	o.Helper()
	require.NoError(o, o.cluster.Restart(o.Context(), mode))
	o.admin.Reset()
}

// terminate ends all sessions of the program.
func (o *outage) terminate(admin interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
},
) {
	o.Helper()
	_, err := admin.Exec(o.Context(), "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'program'")
	require.NoError(o, err)
}

// withSetting gives the program's sessions a setting for as long as fail takes.
func (o *outage) withSetting(setting string, fail func()) {
	o.Helper()
	o.exec("alter role program set " + setting)
	o.terminate(o.admin)
	fail()
	o.exec("alter role program reset all")
	o.terminate(o.admin)
}

// lockedOut keeps the program out of a table that it needs.
func (o *outage) lockedOut() {
	o.Helper()
	require.NoError(o, pgx.BeginFunc(o.Context(), o.admin, func(tx pgx.Tx) error {
		_, err := tx.Exec(o.Context(), "lock table squidmesh_event")
		o.last()
		return err
	}))
}

// tooManyConnections has somebody else take every connection that the server has, also those of the program once they are broken.
func tooManyConnections(o *outage) {
	admin, err := o.admin.Acquire(o.Context())
	require.NoError(o, err)
	defer admin.Release()
	var others []*pgx.Conn
	defer func() {
		for _, conn := range others {
			_ = conn.Close(context.Background())
		}
	}()
	for left := 0; left < 3; { // that often, the program had no session and nobody could have another one
		conn, err := pgx.Connect(o.Context(), o.cluster.URL("other"))
		if err == nil {
			others, left = append(others, conn), 0
			continue
		}
		require.ErrorContains(o, err, "53300")
		var sessions int
		err = admin.QueryRow(o.Context(), "select count(*) from pg_stat_activity where usename = 'program'").Scan(&sessions)
		require.NoError(o, err)
		if left++; sessions > 0 {
			o.terminate(admin)
			left = 0
		}
	}
	o.last()
}
