package invariants_test

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/invariants"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

func TestDialectsHaveTheSameRules(t *testing.T) {
	t.Parallel()

	all := &invariants.Options{Sealed: true}
	postgres, err := invariants.Postgres(all)
	require.NoError(t, err)
	sqlite, err := invariants.SQLite(all)
	require.NoError(t, err)
	bare := func(all []invariants.Invariant) []invariants.Invariant {
		all = slices.Clone(all)
		for i := range all {
			require.NotEmpty(t, all[i].SQL, all[i].Name)
			all[i].SQL = ""
		}
		return all
	}
	require.Equal(t, bare(postgres), bare(sqlite))
	for _, rule := range postgres {
		require.Regexp(t, `^[a-z_]+$`, rule.Name)
		require.NotEmpty(t, rule.Rule, rule.Name)
		require.NotEmpty(t, rule.Why, rule.Name)
	}
}

func TestEveryRuleHasAMutant(t *testing.T) {
	t.Parallel()

	rules, err := invariants.Postgres(&invariants.Options{Sealed: true})
	require.NoError(t, err)
	for _, rule := range rules {
		require.NotEmpty(t, mutants[rule.Name], "%s: a rule that nothing can break proves nothing", rule.Name)
	}
	require.Len(t, mutants, len(rules))
}

func TestOptions(t *testing.T) {
	t.Parallel()

	rules, err := invariants.Postgres(&invariants.Options{Schema: "mesh", Grace: 5 * time.Second})
	require.NoError(t, err)
	var all strings.Builder
	for _, rule := range rules {
		all.WriteString(rule.SQL)
	}
	require.NotRegexp(t, `[^.]squidmesh_(run|step|event|hold|worker|attempt|spec|trigger|fire)\b`, strings.ReplaceAll(all.String(), "mesh.squidmesh_", "."))
	require.Contains(t, all.String(), "5 * interval '1 second'")
	require.NotContains(t, all.String(), "/*")

	untimed, err := invariants.SQLite(&invariants.Options{Grace: -1})
	require.NoError(t, err)
	require.False(t, slices.ContainsFunc(untimed, func(i invariants.Invariant) bool { return i.Timed }))
	require.False(t, slices.ContainsFunc(untimed, func(i invariants.Invariant) bool { return i.Optional }), "nobody has asked")
	for _, asked := range []*invariants.Options{{Sealed: true, Only: []string{"open_counter"}}, {Only: []string{"open_counter", "values_are_sealed"}}} {
		both, err := invariants.SQLite(asked)
		require.NoError(t, err)
		require.Len(t, both, 2)
		require.True(t, both[1].Optional)
	}
}

func TestOptions_RefusesBadOnes(t *testing.T) {
	t.Parallel()

	pool, db := dbtest.Postgres(t, dbtest.Empty), dbtest.SQLite(t, nil, dbtest.Empty).DB()
	for _, c := range []struct {
		options     invariants.Options
		field, code string
	}{
		{invariants.Options{Schema: `"`}, "Schema", "bad_name"},
		{invariants.Options{Schema: "x; drop table y; --"}, "Schema", "bad_name"},
		{invariants.Options{Schema: strings.Repeat("\x00", 1000)}, "Schema", "bad_name"},
		{invariants.Options{Limit: -1}, "Limit", "out_of_range"},
		{invariants.Options{Only: []string{"dense", "no_rule"}}, "Only", "unknown_rule"},
		{invariants.Options{Only: []string{strings.Repeat("\xff", 1000)}}, "Only", "unknown_rule"},
	} {
		_, postgres := invariants.CheckPostgres(t.Context(), pool, &c.options)
		_, sqlite := invariants.CheckSQLite(t.Context(), db, &c.options)
		for _, err := range []error{postgres, sqlite} { // before the missing tables are noticed
			var bad *squidmesh.InputError
			require.ErrorAs(t, err, &bad, "%+v", c.options)
			require.Equal(t, [2]string{c.field, c.code}, [2]string{bad.Field, bad.Code})
			require.LessOrEqual(t, len(err.Error()), 200, "an error repeats little of what was given")
		}
	}
}

var placeholder = regexp.MustCompile(`\{\w+\}`)

// fill writes a mutant out for a dialect: {key} is the id of the run with that key.
func fill(text, now, hour string) string {
	return placeholder.ReplaceAllStringFunc(text, func(mark string) string {
		switch name := strings.Trim(mark, "{}"); name {
		case "now":
			return now
		case "old":
			return now + " - " + hour
		case "new":
			return now + " + " + hour
		default:
			return "(select id from squidmesh_run where key = '" + name + "')"
		}
	})
}

func TestPostgres_MutantsTripTheirRules(t *testing.T) {
	t.Parallel()

	pool := dbtest.Postgres(t)
	newFixture(t, pgstore.New(pool, &pgstore.Options{Lease: time.Hour})) // it does not tick
	clean, err := invariants.CheckPostgres(t.Context(), pool, &invariants.Options{Sealed: true})
	require.NoError(t, err)
	require.Empty(t, clean)

	for name, texts := range mutants {
		for _, text := range texts {
			t.Run(name, func(t *testing.T) {
				tx, err := pool.Begin(t.Context())
				require.NoError(t, err)
				defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
				// Constraints would refuse some mutants; what the check finds must not depend on them.
				_, err = tx.Conn().PgConn().Exec(t.Context(), "drop index squidmesh_run_key; "+
					fill(text, "clock_timestamp()", "interval '1 hour'")).ReadAll()
				require.NoError(t, err)
				requireTripped(t, name, func() ([]invariants.Violation, error) {
					return invariants.CheckPostgres(t.Context(), checked{tx}, &invariants.Options{Only: []string{name}})
				})
			})
		}
	}
}

// checked hides that a transaction could begin another one.
type checked struct{ tx pgx.Tx }

func (c checked) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	return c.tx.Query(ctx, sql, args...)
}

func TestSQLite_MutantsTripTheirRules(t *testing.T) {
	t.Parallel()

	store := dbtest.SQLite(t, nil)
	newFixture(t, store)
	clean, err := invariants.CheckSQLite(t.Context(), store.DB(), &invariants.Options{Sealed: true})
	require.NoError(t, err)
	require.Empty(t, clean)

	for name, texts := range mutants {
		for _, text := range texts {
			t.Run(name, func(t *testing.T) {
				tx, err := store.DB().BeginTx(t.Context(), nil)
				require.NoError(t, err)
				defer func() { _ = tx.Rollback() }()
				_, err = tx.ExecContext(t.Context(), "drop index squidmesh_run_key; "+
					fill(text, "cast(unixepoch('subsec') * 1000000 as integer)", "3600000000"))
				require.NoError(t, err)
				requireTripped(t, name, func() ([]invariants.Violation, error) {
					return invariants.CheckSQLite(t.Context(), tx, &invariants.Options{Only: []string{name}})
				})
			})
		}
	}
}

func requireTripped(t *testing.T, name string, check func() ([]invariants.Violation, error)) {
	t.Helper()
	violations, err := check()
	require.NoError(t, err)
	require.True(t, slices.ContainsFunc(violations, func(v invariants.Violation) bool {
		return v.Invariant == name && v.What != ""
	}), "tripped instead: %v", violations)
}
