package e2e

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/internal/wirecut"
	"github.com/squidmesh/squidmesh-go/invariants"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

// blackout is three programs at work, each with a pool of its own, whose database is away for all of them.
type blackout struct {
	*testing.T
	direct   *pgxpool.Pool
	role     string
	proxies  []*wirecut.Proxy
	programs []program[pgx.Tx]
	runs     []squidmesh.RunID
	healed   chan struct{}
	stopped  atomic.Int64 // steps that were told to stop
	logged   logbook
}

const blackoutRuns = 12

// blackoutLease and blackoutHeartbeat are the defaults in another measure: on a busy machine heartbeats may not get through for four seconds,
// though the database is there.
const (
	blackoutLease     = 10 * time.Second
	blackoutHeartbeat = blackoutLease / 4
)

// newRole makes a role that works in the schema of a pool, and returns what makes a pool one of the role's.
func newRole(t *testing.T, direct *pgxpool.Pool) (string, func(*pgxpool.Config)) {
	t.Helper()
	role, schema := "role_"+dbtest.Schema(direct), dbtest.Schema(direct)
	password := rand.Text()
	_, err := direct.Exec(t.Context(), fmt.Sprintf(`
		create role %[1]s login password '%[3]s';
		grant usage on schema %[2]s to %[1]s;
		grant all on all tables in schema %[2]s to %[1]s;
		grant all on all sequences in schema %[2]s to %[1]s`, role, schema, password))
	require.NoError(t, err)
	t.Cleanup(func() { // behind all that connects as the role
		_, err := direct.Exec(context.Background(), fmt.Sprintf("drop owned by %[1]s; drop role %[1]s", role))
		require.NoError(t, err)
	})
	return role, func(config *pgxpool.Config) { config.ConnConfig.User, config.ConnConfig.Password = role, password }
}

// newBlackout starts the programs and runs whose only step lasts until the database is back. A lost process would fail its runs.
func newBlackout(t *testing.T) *blackout {
	b := &blackout{T: t, direct: dbtest.Postgres(t, dbtest.River), healed: make(chan struct{})}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the programs logged:\n%s", b.logged.String())
		}
	})
	var asRole func(*pgxpool.Config)
	b.role, asRole = newRole(t, b.direct)
	var begun atomic.Int64
	for range 3 {
		proxy, pool := dbtest.Proxied(t, b.direct, asRole)
		b.proxies = append(b.proxies, proxy)
		b.programs = append(b.programs, programOn(t, pool, &squidmesh.Config[pgx.Tx]{
			Store: pgstore.New(pool, &pgstore.Options{Lease: blackoutLease}), Heartbeat: blackoutHeartbeat,
			Logger: slog.New(slog.NewTextHandler(&b.logged, &slog.HandlerOptions{Level: slog.LevelWarn})),
			Workflows: []squidmesh.Workflow{{Name: "long", Triggers: byHand, Steps: []squidmesh.Step{{
				Name: "long", MaxLosses: 1, Do: squidmesh.Effect(func(ctx context.Context, _ struct{}) error {
					begun.Add(1)
					select {
					case <-b.healed:
						return nil
					case <-ctx.Done():
						b.stopped.Add(1)
						return context.Cause(ctx)
					}
				}),
			}}}},
		}))
	}
	for i := range blackoutRuns {
		run, err := b.programs[i%3].StartRun(t.Context(), squidmesh.StartParams{Workflow: "long"})
		require.NoError(t, err)
		b.runs = append(b.runs, run.ID)
	}
	require.Eventually(t, func() bool { return begun.Load() == blackoutRuns }, 2*time.Minute, 5*time.Millisecond)
	return b
}

func (b *blackout) exec(sql string, args ...any) {
	b.Helper()
	_, err := b.direct.Exec(b.Context(), sql, args...)
	require.NoError(b, err)
}

// lasts waits in the database, which is there for the test.
func (b *blackout) lasts(d time.Duration) {
	b.Helper()
	b.exec("select pg_sleep($1)", d.Seconds())
}

// requireNobodyCharged waits until all processes have renewed their leases for longer than one lasts, and the runs have ended.
func (b *blackout) requireNobodyCharged() {
	b.Helper()
	var until time.Time
	require.NoError(b, b.direct.QueryRow(b.Context(), "select clock_timestamp() + $1", 2*blackoutLease).Scan(&until))
	var living, lost int
	require.Eventually(b, func() bool {
		err := b.direct.QueryRow(b.Context(), `select count(*) filter (where lost_at is null and lease_until > $1), count(lost_at)
			from squidmesh_worker`, until).Scan(&living, &lost)
		require.NoError(b, err)
		return lost > 0 || living == 3
	}, 2*time.Minute, 20*time.Millisecond)
	require.Zero(b, lost, "processes that were declared lost")
	close(b.healed)
	for _, id := range b.runs {
		var status squidmesh.RunStatus
		require.Eventually(b, func() bool {
			err := b.direct.QueryRow(b.Context(), "select status from squidmesh_run where id = $1", id).Scan(&status)
			require.NoError(b, err)
			return status.Terminal()
		}, time.Minute, 20*time.Millisecond, "run %s is stuck", id)
		require.Equal(b, squidmesh.RunCompleted, status)
	}
	var charged int
	require.NoError(b, b.direct.QueryRow(b.Context(), "select sum(failures + losses) from squidmesh_step").Scan(&charged))
	require.Zero(b, charged, "failures and losses")
	violations, err := invariants.CheckPostgres(b.Context(), b.direct, &invariants.Options{Grace: -1})
	require.NoError(b, err)
	require.Empty(b, violations)
}

// away cuts everybody off from the database for a time.
func away(d time.Duration) func(b *blackout) {
	return func(b *blackout) {
		for _, proxy := range b.proxies {
			proxy.Away(true)
		}
		b.lasts(d)
		for _, proxy := range b.proxies {
			proxy.Away(false)
		}
	}
}

// locked keeps everybody out of tables for longer than a lease.
func locked(tables string) func(b *blackout) {
	return func(b *blackout) {
		require.NoError(b, pgx.BeginFunc(b.Context(), b.direct, func(tx pgx.Tx) error {
			_, err := tx.Exec(b.Context(), "lock table "+tables)
			if err == nil {
				_, err = tx.Exec(b.Context(), "select pg_sleep($1)", (2 * blackoutLease).Seconds())
			}
			return err
		}))
	}
}

// However long the database is away for all processes, none is declared lost for it, and no step is charged.
func TestBlackout_IsChargedToNobody(t *testing.T) {
	t.Parallel()

	const lease = blackoutLease
	for _, fault := range []struct {
		name string
		fail func(b *blackout)
		told bool // the steps may be told to stop: no lease can be proven
	}{
		{"away for a moment", away(lease / 4), true},
		{"away for most of a lease", away(lease * 3 / 4), true},
		{"away for a lease and a half", away(lease * 3 / 2), true},
		{"away for a minute", away(time.Minute), true},
		{"locked workers", locked("squidmesh_worker"), true},
		{"locked tables", locked("squidmesh_run, squidmesh_step, squidmesh_hold, squidmesh_event, squidmesh_attempt, squidmesh_trigger, squidmesh_fire, squidmesh_spec"), false},
		{"no free slot", func(b *blackout) {
			b.exec("alter role " + b.role + " connection limit 0")
			b.exec("select pg_terminate_backend(pid) from pg_stat_activity where usename = $1", b.role)
			b.lasts(lease * 3 / 2)
			b.exec("alter role " + b.role + " connection limit -1")
		}, true},
	} {
		t.Run(fault.name, func(t *testing.T) {
			t.Parallel()
			b := newBlackout(t)
			fault.fail(b)
			stopped := b.stopped.Load()
			b.requireNobodyCharged()
			if !fault.told {
				require.Zero(t, stopped, "steps that were told to stop")
			}
		})
	}
}

// A process that nobody hears of while the others are there is lost, also when all had been away just before.
func TestBlackout_WhoDoesNotComeBackIsLost(t *testing.T) {
	t.Parallel()

	b := newBlackout(t)
	for _, proxy := range b.proxies {
		proxy.Away(true)
	}
	b.lasts(blackoutLease * 3 / 2)
	for _, proxy := range b.proxies[1:] {
		proxy.Away(false)
	}
	back := time.Now()
	require.Eventually(t, func() bool {
		var living, lost int
		err := b.direct.QueryRow(t.Context(), `select count(*) filter (where lost_at is null and lease_until > clock_timestamp()), count(lost_at)
			from squidmesh_worker`).Scan(&living, &lost)
		require.NoError(t, err)
		return living == 2 && lost == 1
	}, time.Minute, 20*time.Millisecond)
	t.Logf("declared lost %s after the others were back", time.Since(back).Round(time.Millisecond))
	b.proxies[0].Away(false)
	close(b.healed)
}
