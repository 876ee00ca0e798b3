package pgstore_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// sessionSettings is what a transaction, or who has the connection next, goes by.
func sessionSettings(t *testing.T, ctx context.Context, tx pgx.Tx) map[string]string {
	t.Helper()
	rows, err := tx.Query(ctx, `select name, setting from pg_settings where name <> 'transaction_read_only'
		union all select 'role', pg_catalog.current_setting('role') union all select 'user', current_user::text`)
	require.NoError(t, err)
	all := map[string]string{}
	var name, value string
	_, err = pgx.ForEachRow(rows, []any{&name, &value}, func() error {
		all[name] = value
		return nil
	})
	require.NoError(t, err)
	return all
}

// What a body sets ends with it, whether it succeeds or fails: what comes after it in its transaction goes by the settings from before
// it, and so does who has the connection next.
func TestNested_TheSettingsOfABodyEndWithIt(t *testing.T) {
	t.Parallel()

	n := newNotes(t)
	for _, sql := range []string{
		"create table tenant_note (text text)",
		"create function pg_temp_reset() returns void language plpgsql as $$ begin perform set_config('search_path', 'nowhere', false); end $$",
	} {
		_, err := n.pool.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	for _, sql := range []string{
		"set local search_path to nowhere",
		"set search_path to nowhere",
		"set search_path to nowhere, pg_catalog",
		"select set_config('search_path', 'nowhere', true)",
		"select set_config('search_path', 'nowhere', false)",
		"select pg_temp_reset()",
		"reset search_path; set search_path to nowhere",
		"set local role pg_monitor",
		"set role pg_monitor",
		"set session authorization pg_monitor",
		"set local session authorization pg_monitor; set local search_path to nowhere; set local statement_timeout to 50",
		"set statement_timeout to 50; set lock_timeout to 1",
		"set local statement_timeout to 50; set local lock_timeout to 1",
		"set idle_in_transaction_session_timeout to 1000; set idle_session_timeout to 1000",
		"set local row_security to off",
		"set local client_encoding to latin1",
		"set client_encoding to sql_ascii; set standard_conforming_strings to off",
		"set timezone to 'Asia/Tokyo'; set datestyle to german; set intervalstyle to iso_8601; set bytea_output to escape; set extra_float_digits to -3",
		"set local synchronous_commit to off",
		"set session characteristics as transaction read only, deferrable, isolation level serializable",
		"set local enable_indexscan to off; set enable_bitmapscan to off; set enable_nestloop to off",
		"set transaction read only",
		"set constraints all immediate",
	} {
		for _, result := range []error{nil, errMine} {
			for _, role := range []string{"none", "pg_read_all_data"} { // as a pool's AfterConnect sets one
				t.Run(fmt.Sprintf("%s as %s, %v", sql, role, result), func(t *testing.T) { n.settingsEnd(t, sql, role, result) })
			}
		}
	}
}

func (n *notes) settingsEnd(t *testing.T, sql, role string, result error) {
	ctx := t.Context()
	conn, err := n.pool.Acquire(ctx)
	require.NoError(t, err)
	defer conn.Release()
	defer conn.Exec(context.WithoutCancel(ctx), "reset role")
	_, err = conn.Exec(ctx, "set role "+role)
	require.NoError(t, err)
	tx, err := conn.Begin(ctx)
	require.NoError(t, err)
	defer tx.Rollback(context.WithoutCancel(ctx))
	before := sessionSettings(t, ctx, tx)
	err = n.store.Nested(ctx, tx, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, sql)
		require.NoError(t, err)
		return result
	})
	require.Equal(t, result, err)
	after := sessionSettings(t, ctx, tx)
	const silence = "idle_in_transaction_session_timeout" // has its own time for our transactions
	delete(before, silence)
	delete(after, silence)
	require.Equal(t, before, after)
	require.NoError(t, tx.Commit(ctx))
	require.NoError(t, pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		after := sessionSettings(t, ctx, tx)
		require.NotEqual(t, "1000", after[silence])
		delete(after, silence)
		require.Equal(t, before, after, "who has the connection next")
		return nil
	}))
}

func TestNested_WhatOnlyASuperuserMaySetEndsToo(t *testing.T) {
	t.Parallel()

	n := newNotes(t)
	n.settingsEnd(t, "set session_replication_role to replica; set local role pg_monitor", "none", nil)
}

// A body that ends the transaction as SQL leaves settings behind that nothing can take back, so nobody gets its connection.
func TestNested_NobodyGetsTheConnectionOfABodyThatEndedTheTransaction(t *testing.T) {
	t.Parallel()

	for _, sql := range []string{"set search_path to nowhere; commit", "set search_path to nowhere; commit; begin"} {
		n := newNotes(t)
		_, outer := n.nested(func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, sql)
			require.NoError(t, err)
			return nil
		})
		require.ErrorIs(t, outer, flow.ErrTransactionEnded)
		for range 10 {
			n.require("before")
		}
	}
}
