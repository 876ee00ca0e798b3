package squidmesh_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/drivertest"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/memstore"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
	"github.com/squidmesh/squidmesh-go/squidmesh/sqlitestore"
)

func keyring(t *testing.T, current string, more ...string) *squidmesh.Keyring {
	t.Helper()
	keys := map[string][]byte{}
	for _, id := range append(more, current) {
		keys[id] = bytes.Repeat([]byte(id[:1]), 32)
	}
	ring, err := squidmesh.NewKeyring(current, keys)
	require.NoError(t, err)
	return ring
}

func TestKeyring(t *testing.T) {
	t.Parallel()

	ring := keyring(t, "b", "a")
	id, sealed, err := ring.Seal(t.Context(), "here", []byte("hello"))
	require.NoError(t, err)
	require.Equal(t, "b", id)
	require.NotContains(t, string(sealed), "hello")
	plain, err := ring.Open(t.Context(), "here", "b", sealed)
	require.NoError(t, err)
	require.Equal(t, "hello", string(plain))
	_, other, err := ring.Seal(t.Context(), "here", []byte("hello"))
	require.NoError(t, err)
	require.NotEqual(t, sealed, other, "the same value twice must not look the same")

	for name, open := range map[string]func() ([]byte, error){
		"another place":  func() ([]byte, error) { return ring.Open(t.Context(), "there", "b", sealed) },
		"another key":    func() ([]byte, error) { return ring.Open(t.Context(), "here", "a", sealed) },
		"an unknown key": func() ([]byte, error) { return ring.Open(t.Context(), "here", "z", sealed) },
		"tampered with": func() ([]byte, error) {
			return ring.Open(t.Context(), "here", "b", append([]byte{sealed[0] ^ 1}, sealed[1:]...))
		},
		"cut off": func() ([]byte, error) { return ring.Open(t.Context(), "here", "b", sealed[:5]) },
		"nothing": func() ([]byte, error) { return ring.Open(t.Context(), "here", "b", nil) },
		"something longer": func() ([]byte, error) {
			return ring.Open(t.Context(), "here", "b", append(sealed[:len(sealed):len(sealed)], 0))
		},
	} {
		_, err := open()
		require.Error(t, err, name)
	}
	_, err = squidmesh.NewKeyring("a", map[string][]byte{"a": []byte("short")})
	require.ErrorContains(t, err, "32")
	_, err = squidmesh.NewKeyring("c", map[string][]byte{"a": bytes.Repeat([]byte{1}, 32)})
	require.ErrorContains(t, err, "not among")
}

// An id that does not come back from the database as it went in would lose all that its key seals.
func TestKeyring_Refuses(t *testing.T) {
	t.Parallel()
	key := func(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }
	for says, keys := range map[string]map[string][]byte{
		"is empty":                 {"": key(1)},
		"has 65 bytes":             {strings.Repeat("k", 65): key(1)},
		"is not valid UTF-8":       {"a\xff": key(1)},
		"holds the character U+0":  {"a\n": key(1)},
		"all zeros":                {"a": key(0)},
		`"a" and "b" are the same`: {"a": key(1), "b": key(1)},
	} {
		for id := range keys {
			_, err := squidmesh.NewKeyring(id, keys)
			require.ErrorContains(t, err, says)
			require.True(t, utf8.ValidString(err.Error()))
		}
	}
}

// oddCodec seals under an id that JSON changes.
type oddCodec struct{ squidmesh.Codec }

func (oddCodec) Seal(_ context.Context, _ string, plain []byte) (string, []byte, error) {
	return "a\xff", plain, nil
}

func TestCodec_OddKeyIDsAreRefused(t *testing.T) {
	t.Parallel()
	rt := sealedRuntime(t, dbtest.SQLite(t, nil), oddCodec{}, relay(squidmesh.Effect(func(context.Context, nothing) error { return nil })))
	_, err := rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "relay", Payload: word{"hello"}})
	require.ErrorIs(t, err, squidmesh.ErrSeal)
	require.ErrorContains(t, err, "not valid UTF-8")
}

// What is in the database in the clear although there is a codec was put there by somebody else: no step reads it.
func TestCodec_RequireSealed(t *testing.T) {
	t.Parallel()
	store := dbtest.SQLite(t, nil)
	strict := func(required bool) *squidmesh.Runtime[*sql.Tx] {
		rt, err := squidmesh.New(&squidmesh.Config[*sql.Tx]{
			Store: store, Executor: refusingExecutor{}, Codec: keyring(t, "a"), RequireSealed: required,
			Workflows: []squidmesh.Workflow{relay(squidmesh.Effect(func(context.Context, nothing) error { return nil }))},
		})
		require.NoError(t, err)
		return rt
	}
	rt := strict(true)
	run, err := rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "relay", Payload: word{"hello"}, Key: "7"})
	require.NoError(t, err)
	again, err := rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "relay", Payload: word{"hello"}, Key: "7"})
	require.NoError(t, err)
	require.True(t, again.Existing)

	_, err = store.DB().ExecContext(t.Context(), `update squidmesh_run set payload = '{"word":"goodbye"}'`)
	require.NoError(t, err)
	in, err := rt.InspectRun(t.Context(), run.ID, nil)
	require.NoError(t, err)
	require.NotContains(t, string(in.Run.Payload), "goodbye")
	ex, err := strict(true).ExplainRun(t.Context(), run.ID)
	require.NoError(t, err)
	require.NotEmpty(t, ex.Sentence)
	deliver := func(rt *squidmesh.Runtime[*sql.Tx], step string) flow.Outcome {
		require.NoError(t, rt.Start(t.Context()))
		outcome, err := rt.Perform(t.Context(), driver.Delivery{
			Version: 1, Kind: driver.DeliverStep, RunID: run.ID.String(), Step: step, Attempt: 1,
		})
		require.NoError(t, err)
		require.NoError(t, rt.Stop(t.Context()))
		return outcome
	}
	fresh := strict(true)
	require.Equal(t, flow.OutcomeDone, deliver(fresh, "first").Kind) // which reads nothing, and cannot go on
	outcome := deliver(strict(true), "second")
	require.Equal(t, flow.DeliveryPayloadUnreadable, outcome.Reason)
	require.Equal(t, flow.OutcomeDone, deliver(strict(false), "second").Kind)

	_, err = store.DB().ExecContext(t.Context(), `update squidmesh_run set key_hash = 'x'`)
	require.NoError(t, err)
	_, err = strict(true).StartRun(t.Context(), squidmesh.StartParams{Workflow: "relay", Payload: word{"hello"}, Key: "7"})
	require.ErrorIs(t, err, squidmesh.ErrUnreadable)
	require.ErrorContains(t, err, "RequireSealed")
	_, err = strict(true).ReplayRun(t.Context(), run.ID, squidmesh.ReplayParams{})
	require.ErrorIs(t, err, squidmesh.ErrUnreadable)

	_, err = squidmesh.New(&squidmesh.Config[*sql.Tx]{
		Store: store, Executor: refusingExecutor{}, RequireSealed: true,
		Workflows: []squidmesh.Workflow{relay(squidmesh.Effect(func(context.Context, nothing) error { return nil }))},
	})
	require.ErrorContains(t, err, "RequireSealed")
}

// A failure decides what the step after it does, and a comment what an operator believes: what is forged of them is neither read nor
// shown, and nobody seals it.
func TestCodec_RequireSealedOfFailuresAndComments(t *testing.T) {
	t.Parallel()
	store := dbtest.SQLite(t, nil)
	heard := ""
	workflow := squidmesh.Workflow{
		Name: "refund", Triggers: []squidmesh.Trigger{squidmesh.Manual("go", squidmesh.Contract{})},
		Steps: []squidmesh.Step{
			{Name: "charge", OnError: "refund", Do: squidmesh.Effect(func(context.Context, nothing) error { return errors.New("no money") })},
			{Name: "refund", Do: squidmesh.Effect(func(ctx context.Context, _ nothing) error {
				failure, _ := squidmesh.Failure(ctx)
				heard = failure.Message
				return nil
			})},
		},
	}
	open := func(strict bool) *squidmesh.Runtime[*sql.Tx] {
		rt, err := squidmesh.New(&squidmesh.Config[*sql.Tx]{
			Store: store, Executor: refusingExecutor{}, Codec: keyring(t, "a"), RequireSealed: strict, DisableContinuation: true,
			Workflows: []squidmesh.Workflow{workflow},
		})
		require.NoError(t, err)
		return rt
	}
	deliver := func(rt *squidmesh.Runtime[*sql.Tx], id squidmesh.RunID, step string) flow.Outcome {
		require.NoError(t, rt.Start(t.Context()))
		outcome, err := rt.Perform(t.Context(), driver.StepJob{RunID: id, Step: step, Attempt: 1}.Delivery())
		require.NoError(t, err)
		require.NoError(t, rt.Stop(t.Context()))
		return outcome
	}
	edit := func(statement string) {
		_, err := store.DB().ExecContext(t.Context(), statement)
		require.NoError(t, err)
	}
	run, err := open(true).StartRun(t.Context(), squidmesh.StartParams{Workflow: "refund"})
	require.NoError(t, err)
	require.Equal(t, flow.OutcomeDone, deliver(open(true), run.ID, "charge").Kind)
	var genuine, forged string
	read := func(reason *string) {
		require.NoError(t, store.DB().QueryRowContext(t.Context(), "select reason from squidmesh_run").Scan(reason))
	}
	read(&genuine)
	edit(`update squidmesh_run set reason = '{"step":"charge","attempt":1,"code":"error","message":"pay mallory 4711","at":"2026-01-02T03:04:05Z"}'`)
	read(&forged)

	require.Equal(t, flow.DeliveryPayloadUnreadable, deliver(open(true), run.ID, "refund").Reason)
	require.Empty(t, heard)
	asked := open(true)
	require.NoError(t, asked.Start(t.Context()))
	ex, err := asked.ExplainRun(t.Context(), run.ID)
	require.NoError(t, err)
	require.NoError(t, asked.Stop(t.Context()))
	require.Contains(t, ex.Sentence, "in the clear, which Config.RequireSealed forbids")
	edit(`update squidmesh_attempt set error = '{"step":"charge","attempt":1,"code":"error","message":"pay mallory 4711","at":"2026-01-02T03:04:05Z"}'`)
	edit(`update squidmesh_event set data = '{"comment":"pay mallory 4711"}' where kind = 'failed'`)
	shown := func(rt *squidmesh.Runtime[*sql.Tx]) string {
		in, err := rt.InspectRun(t.Context(), run.ID, &squidmesh.InspectOptions{History: true})
		require.NoError(t, err)
		text, err := json.Marshal(in)
		require.NoError(t, err)
		return string(text)
	}
	require.Contains(t, shown(open(false)), "mallory")
	require.NotContains(t, shown(open(true)), "mallory")
	require.Contains(t, shown(open(true)), "(not sealed, which Config.RequireSealed asks for)")

	// A commit of such a process writes the run's row: the forgery is not sealed with it, nor lost.
	_, err = open(true).CancelRun(t.Context(), run.ID, squidmesh.CancelParams{})
	require.NoError(t, err)
	var after string
	read(&after)
	require.Equal(t, forged, after)

	run, err = open(true).StartRun(t.Context(), squidmesh.StartParams{Workflow: "refund"})
	require.NoError(t, err)
	require.Equal(t, flow.OutcomeDone, deliver(open(true), run.ID, "charge").Kind)
	require.Equal(t, flow.OutcomeDone, deliver(open(true), run.ID, "refund").Kind)
	require.Equal(t, "no money", heard)

	sealer := squidmesh.SealedStrictly[*sql.Tx](store, keyring(t, "a"))
	key := flow.TriggerKey{Workflow: "refund", Trigger: "nightly"}
	require.NoError(t, store.InTx(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
		trigger := flow.TriggerState{TriggerKey: key, Expression: "@yearly", ChangedAt: time.Unix(1, 0), Actor: "ann", Comment: "4711"}
		_, err := store.SaveCron(ctx, tx, driver.CronChange{
			Register: []flow.TriggerState{trigger},
			Operated: []flow.TriggerState{trigger}, NewFires: []flow.Fire{{
				TriggerKey: key, Key: "now:1", SignalID: "now:1", WindowAt: time.Unix(1, 0), FiredAt: time.Unix(1, 0), State: flow.FireSkipped, Reason: "r", Comment: "4711",
			}},
		})
		require.NoError(t, err)
		triggers, err := sealer.Triggers(ctx, tx, driver.TriggerQuery{})
		require.NoError(t, err)
		fires, err := sealer.Fires(ctx, tx, driver.FireQuery{Keys: []flow.TriggerKey{key}, Newest: 1})
		require.NoError(t, err)
		require.NotContains(t, triggers[0].Comment+fires[0].Comment, "4711")
		return nil
	}))
}

// A step that a failure led to waits for a process that can tell it what failed.
func TestCodec_AFailureThatCannotBeOpenedIsWaitedFor(t *testing.T) {
	t.Parallel()
	store := dbtest.SQLite(t, nil)
	workflow := relay(squidmesh.Effect(func(context.Context, nothing) error { return errors.New("no money") }))
	workflow.Steps[0].OnError = "third"
	workflow.Steps = append(workflow.Steps, squidmesh.Step{Name: "third", Do: squidmesh.Effect(func(ctx context.Context, _ nothing) error {
		failure, ok := squidmesh.Failure(ctx)
		if !ok || failure.Message != "no money" {
			return squidmesh.Fail(errors.New("what failed?"))
		}
		return nil
	})})
	open := func(codec squidmesh.Codec) *squidmesh.Runtime[*sql.Tx] {
		rt, err := squidmesh.New(&squidmesh.Config[*sql.Tx]{
			Store: store, Executor: refusingExecutor{}, Codec: codec, DisableContinuation: true, Workflows: []squidmesh.Workflow{workflow},
		})
		require.NoError(t, err)
		require.NoError(t, rt.Start(t.Context()))
		return rt
	}
	right := open(keyring(t, "a"))
	run, err := right.StartRun(t.Context(), squidmesh.StartParams{Workflow: "relay", Payload: word{"hello"}})
	require.NoError(t, err)
	deliver := func(rt *squidmesh.Runtime[*sql.Tx], step string) flow.Outcome {
		outcome, err := rt.Perform(t.Context(), driver.StepJob{RunID: run.ID, Step: step, Attempt: 1}.Delivery())
		require.NoError(t, err)
		require.NoError(t, rt.Stop(t.Context()))
		return outcome
	}
	deliver(right, "first")
	wrong := open(keyring(t, "b"))
	ex, err := wrong.ExplainRun(t.Context(), run.ID)
	require.NoError(t, err)
	require.Contains(t, ex.Sentence, `sealed with key "a"`)
	require.Equal(t, flow.DeliveryPayloadUnreadable, deliver(wrong, "third").Reason)
	right = open(keyring(t, "a"))
	require.Equal(t, flow.Outcome{Kind: flow.OutcomeDone}, deliver(right, "third"))
	in, err := right.InspectRun(t.Context(), run.ID, nil)
	require.NoError(t, err)
	require.Equal(t, squidmesh.RunCompleted, in.Run.Status)
}

// What is sealed is bound to what stands beside it in the clear: moved under another workflow, actor or time it does not open.
func TestCodec_BindsWhatStandsBeside(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]string{
		"trigger": `update squidmesh_run set trigger = 'other'`,
		"key":     `update squidmesh_run set key = '8'`,
		"actor":   `update squidmesh_event set actor = 'mallory'`,
		"kind":    `update squidmesh_event set kind = 'failed' where kind = 'cancelled'`,
		"time":    `update squidmesh_event set at = at + 1000`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := dbtest.SQLite(t, nil)
			rt := sealedRuntime(t, store, keyring(t, "a"), relay(squidmesh.Effect(func(context.Context, nothing) error { return nil })))
			run, err := rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "relay", Payload: word{"hello"}, Key: "7"})
			require.NoError(t, err)
			_, err = rt.CancelRun(t.Context(), run.ID, squidmesh.CancelParams{Decision: squidmesh.Decision{Actor: "ada", Comment: "not needed"}})
			require.NoError(t, err)
			read := func() (payload, comment string, err error) {
				in, err := rt.InspectRun(t.Context(), run.ID, &squidmesh.InspectOptions{History: true})
				require.NoError(t, err)
				_, err = rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "relay", Payload: word{"hello"}, Key: in.Run.Key})
				return string(in.Run.Payload), string(in.Audit[len(in.Audit)-1].Data), err
			}
			payload, comment, err := read()
			require.NoError(t, err)
			require.Contains(t, payload, "hello")
			require.Contains(t, comment, "not needed")
			_, err = store.DB().ExecContext(t.Context(), edit)
			require.NoError(t, err)
			payload, comment, err = read()
			switch name {
			case "trigger":
				require.NotContains(t, payload, "hello")
			case "key":
				require.ErrorIs(t, err, squidmesh.ErrUnreadable)
			default:
				require.NotContains(t, comment, "not needed")
			}
		})
	}
}

// With a codec before it a store is still a store.

func TestSealedStore_Postgres(t *testing.T) {
	t.Parallel()

	drivertest.ExerciseStore(t, func(t *testing.T) driver.Store[pgx.Tx] {
		return squidmesh.Sealed[pgx.Tx](pgstore.New(dbtest.Postgres(t), nil), keyring(t, "a"))
	})
}

func TestSealedStore_SQLite(t *testing.T) {
	t.Parallel()

	drivertest.ExerciseStore(t, func(t *testing.T) driver.Store[*sql.Tx] {
		return squidmesh.Sealed[*sql.Tx](dbtest.SQLite(t, nil), keyring(t, "a"))
	})
}

func TestSealedStore_Memory(t *testing.T) {
	t.Parallel()

	drivertest.ExerciseStore(t, func(t *testing.T) driver.Store[*memstore.Tx] {
		return squidmesh.Sealed[*memstore.Tx](memstore.New(nil), keyring(t, "a"))
	})
}

// sealedRuntime is a runtime whose jobs go nowhere: the test delivers them.
func sealedRuntime(t *testing.T, store *sqlitestore.Store, codec squidmesh.Codec, workflows ...squidmesh.Workflow) *squidmesh.Runtime[*sql.Tx] {
	t.Helper()
	rt, err := squidmesh.New(&squidmesh.Config[*sql.Tx]{Store: store, Executor: refusingExecutor{}, Workflows: workflows, Codec: codec})
	require.NoError(t, err)
	return rt
}

// relay has a step without an input before one that needs the payload.
func relay(first squidmesh.Action) squidmesh.Workflow {
	return squidmesh.Workflow{
		Name: "relay", Triggers: []squidmesh.Trigger{squidmesh.Manual("go", squidmesh.Payload[word]())},
		Steps: []squidmesh.Step{
			{Name: "first", Do: first, Next: "second"},
			{Name: "second", Do: squidmesh.Func(func(_ context.Context, in word) (map[string]string, error) {
				return map[string]string{"heard": in.Word}, nil
			}), Output: "result"},
		},
	}
}

// A step whose input cannot be opened waits, unclaimed, until a process comes that can. The step before it loses nothing.
func TestCodec_WhatCannotBeOpenedWaits(t *testing.T) {
	t.Parallel()

	for name, first := range map[string]squidmesh.Action{
		"Func":   squidmesh.Effect(func(context.Context, nothing) error { return nil }),
		"FuncTx": squidmesh.EffectTx(func(context.Context, *sql.Tx, nothing) error { return nil }),
	} {
		for without, codec := range map[string]squidmesh.Codec{
			"without a codec": nil, "without the key": keyring(t, "b"), "with a codec that panics": panickingCodec{keyring(t, "a")},
		} {
			t.Run(name+" "+without, func(t *testing.T) {
				t.Parallel()

				store := dbtest.SQLite(t, nil)
				right := sealedRuntime(t, store, keyring(t, "a"), relay(first))
				run, err := right.StartRun(t.Context(), squidmesh.StartParams{Workflow: "relay", Payload: word{"hello"}})
				require.NoError(t, err)

				wrong := sealedRuntime(t, store, codec, relay(first))
				require.NoError(t, wrong.Start(t.Context()))
				deliver := func(rt *squidmesh.Runtime[*sql.Tx], step string) flow.Outcome {
					outcome, err := rt.Perform(t.Context(), driver.Delivery{
						Version: 1, Kind: driver.DeliverStep, RunID: run.ID.String(), Step: step, Attempt: 1,
					})
					require.NoError(t, err)
					return outcome
				}
				require.Equal(t, flow.OutcomeDone, deliver(wrong, "first").Kind)
				waits := deliver(wrong, "second")
				require.Equal(t, flow.OutcomeAgain, waits.Kind)
				require.Equal(t, "payload_unreadable", waits.Reason)
				require.Equal(t, 30*time.Second, waits.After)
				in, err := wrong.InspectRun(t.Context(), run.ID, &squidmesh.InspectOptions{History: true})
				require.NoError(t, err)
				require.Equal(t, flow.StepCompleted, in.Steps[0].Do.Status)
				require.Equal(t, flow.StepScheduled, in.Steps[1].Do.Status)
				require.Equal(t, 1, in.Steps[1].Do.Attempt)
				require.Contains(t, string(in.Run.Payload), `"$sealed"`)
				require.NoError(t, wrong.Stop(t.Context()))

				require.NoError(t, right.Start(t.Context()))
				require.Equal(t, flow.OutcomeDone, deliver(right, "second").Kind)
				in, err = right.InspectRun(t.Context(), run.ID, &squidmesh.InspectOptions{History: true})
				require.NoError(t, err)
				require.Equal(t, squidmesh.RunCompleted, in.Run.Status)
				require.JSONEq(t, `{"word":"hello"}`, string(in.Run.Payload))
				require.JSONEq(t, `{"heard":"hello"}`, string(in.Steps[1].Output))
				require.NoError(t, right.Stop(t.Context()))

				_, err = wrong.ReplayRun(t.Context(), run.ID, squidmesh.ReplayParams{})
				require.ErrorIs(t, err, squidmesh.ErrUnreadable)
				require.ErrorContains(t, err, `: it is sealed with key "a": give that key to Config.Codec`)
				_, err = right.ReplayRun(t.Context(), run.ID, squidmesh.ReplayParams{})
				require.NoError(t, err)
			})
		}
	}
}

// What was written with an old key, or without any, stays readable while new values get the new key.
func TestCodec_KeysCanBeChanged(t *testing.T) {
	t.Parallel()

	store := dbtest.SQLite(t, nil)
	workflow := relay(squidmesh.Effect(func(context.Context, nothing) error { return nil }))
	var ids []squidmesh.RunID
	for _, codec := range []squidmesh.Codec{nil, keyring(t, "a"), keyring(t, "b", "a")} {
		run, err := sealedRuntime(t, store, codec, workflow).StartRun(t.Context(), squidmesh.StartParams{Workflow: "relay", Payload: word{"hello"}, Key: "k" + string(rune('0'+len(ids)))})
		require.NoError(t, err)
		ids = append(ids, run.ID)
	}
	newest := sealedRuntime(t, store, keyring(t, "b", "a"), workflow)
	for i, sealed := range []string{`{"word":"hello"}`, `{"$sealed":{"key":"a"`, `{"$sealed":{"key":"b"`} {
		var stored, hash string
		require.NoError(t, store.DB().QueryRowContext(t.Context(), "select payload, key_hash from squidmesh_run where id = ?", ids[i].String()).Scan(&stored, &hash))
		require.Contains(t, stored, sealed)
		if i > 0 {
			require.Contains(t, hash, sealed)
		}
		in, err := newest.InspectRun(t.Context(), ids[i], nil)
		require.NoError(t, err)
		require.JSONEq(t, `{"word":"hello"}`, string(in.Run.Payload))

		// The key still knows its payload, whatever it was sealed with.
		params := squidmesh.StartParams{Workflow: "relay", Payload: word{"hello"}, Key: "k" + string(rune('0'+i))}
		again, err := newest.StartRun(t.Context(), params)
		require.NoError(t, err)
		require.True(t, again.Existing)
		params.Payload = word{"bye"}
		_, err = newest.StartRun(t.Context(), params)
		require.ErrorIs(t, err, squidmesh.ErrKeyConflict)
	}
	_, err := sealedRuntime(t, store, nil, workflow).StartRun(t.Context(), squidmesh.StartParams{Workflow: "relay", Payload: word{"hello"}, Key: "k2"})
	require.ErrorIs(t, err, squidmesh.ErrUnreadable)
	require.ErrorContains(t, err, `: it is sealed with key "b": give that key to Config.Codec`)
}

// Who cannot open why a run failed is told which key opens it; the row stays as it is, also when that process writes it.
func TestCodec_SealedFailureNamesItsKey(t *testing.T) {
	t.Parallel()

	store := dbtest.SQLite(t, nil)
	nothingToDo := squidmesh.Effect(func(context.Context, nothing) error { return nil })
	workflow := relay(nothingToDo)
	workflow.Steps[0].Undo = nothingToDo
	workflow.Steps[1] = squidmesh.Step{Name: "second", Do: squidmesh.Effect(func(context.Context, nothing) error {
		return squidmesh.Fail(errors.New("the vault is empty"))
	})}
	ours, other := sealedRuntime(t, store, keyring(t, "a"), workflow), sealedRuntime(t, store, keyring(t, "b"), workflow)
	run, err := ours.StartRun(t.Context(), squidmesh.StartParams{Workflow: "relay", Payload: word{"hello"}})
	require.NoError(t, err)
	deliver := func(rt *squidmesh.Runtime[*sql.Tx], d driver.Delivery) {
		require.NoError(t, rt.Start(t.Context()))
		d.Version, d.RunID, d.Attempt = 1, run.ID.String(), 1
		outcome, err := rt.Perform(t.Context(), d)
		require.NoError(t, err)
		require.Equal(t, flow.Outcome{Kind: flow.OutcomeDone}, outcome)
		require.NoError(t, rt.Stop(t.Context()))
	}
	deliver(ours, driver.Delivery{Kind: driver.DeliverStep, Step: "first"}) // and goes on with second
	deliver(other, driver.Delivery{Kind: driver.DeliverCompensation, Step: "first"})

	ex, err := other.ExplainRun(t.Context(), run.ID)
	require.NoError(t, err)
	require.Contains(t, ex.Sentence, `Step second failed: (sealed with key "a")`)
	in, err := ours.InspectRun(t.Context(), run.ID, nil)
	require.NoError(t, err)
	require.Equal(t, squidmesh.RunFailed, in.Run.Status)
	require.Equal(t, "the vault is empty", in.Run.Reason.Message)
	var stored string
	require.NoError(t, store.DB().QueryRowContext(t.Context(), "select reason from squidmesh_run").Scan(&stored))
	require.Contains(t, stored, `"(sealed)"`)
	require.Equal(t, 1, strings.Count(stored, "$sealed"))
}

// Of a payload that can be guessed a hash tells it, so none leaves the runtime: neither to those who ask nor to observers.
func TestKeyHash_StaysWithin(t *testing.T) {
	t.Parallel()
	for name, codec := range map[string]squidmesh.Codec{"sealed": keyring(t, "a"), "plain": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := dbtest.SQLite(t, nil)
			var observed []squidmesh.Run
			rt, err := squidmesh.New(&squidmesh.Config[*sql.Tx]{
				Store: store, Executor: refusingExecutor{}, Codec: codec,
				Workflows: []squidmesh.Workflow{relay(squidmesh.Effect(func(context.Context, nothing) error { return nil }))},
				Observer:  squidmesh.ObserverFunc(func(_ context.Context, o squidmesh.Observation) { observed = append(observed, o.Run) }),
			})
			require.NoError(t, err)
			params := squidmesh.StartParams{Workflow: "relay", Payload: word{"hello"}, Key: "7"}
			started, err := rt.StartRun(t.Context(), params)
			require.NoError(t, err)
			again, err := rt.StartRun(t.Context(), params)
			require.NoError(t, err)
			require.True(t, again.Existing)
			page, err := rt.ListRuns(t.Context(), squidmesh.ListParams{})
			require.NoError(t, err)
			in, err := rt.InspectRun(t.Context(), started.ID, nil)
			require.NoError(t, err)
			cancelled, err := rt.CancelRun(t.Context(), started.ID, squidmesh.CancelParams{})
			require.NoError(t, err)
			require.Len(t, observed, 2)
			for _, run := range append(observed, started.Run, again.Run, page.Runs[0], in.Run, cancelled) {
				require.Equal(t, "7", run.Key)
				require.Empty(t, run.KeyHash)
			}
			var hash string
			require.NoError(t, store.DB().QueryRowContext(t.Context(), "select key_hash from squidmesh_run").Scan(&hash))
			require.NotEmpty(t, hash)
		})
	}
}

// What operators say of a trigger is sealed, and a process that cannot open it leaves it as it is when it moves the trigger on.
func TestCodec_SealsWhatOperatorsSay(t *testing.T) {
	t.Parallel()

	now := time.Date(2026, 3, 2, 6, 0, 0, 0, time.UTC)
	store := dbtest.SQLite(t, &sqlitestore.Options{Clock: func(time.Time) time.Time { return now }})
	queue := &cronQueue[*sql.Tx]{}
	open := func(codec squidmesh.Codec) *squidmesh.Runtime[*sql.Tx] {
		rt, err := squidmesh.New(&squidmesh.Config[*sql.Tx]{
			Store: store, Executor: queue, Codec: codec, ManualTick: true,
			Workflows: []squidmesh.Workflow{digest(squidmesh.Cron("nightly", "0 7 * * *", "", squidmesh.Contract{}))},
		})
		require.NoError(t, err)
		return rt
	}
	trigger := func(rt *squidmesh.Runtime[*sql.Tx]) squidmesh.TriggerInspection {
		list, err := rt.ListTriggers(t.Context(), squidmesh.ListTriggersParams{})
		require.NoError(t, err)
		return list[0]
	}
	why := func(comment string) squidmesh.TriggerParams {
		return squidmesh.TriggerParams{Actor: "ann", Comment: comment}
	}
	right, wrong := open(keyring(t, "a")), open(keyring(t, "b"))
	require.NoError(t, right.Start(t.Context()))
	require.NoError(t, right.Stop(t.Context()))
	require.NoError(t, right.PauseTrigger(t.Context(), "digest", "nightly", why("it is broken")))
	require.NoError(t, right.ResumeTrigger(t.Context(), "digest", "nightly", why("it works")))
	fire, err := right.FireTrigger(t.Context(), "digest", "nightly", why("it was missed"))
	require.NoError(t, err)
	require.Equal(t, "it was missed", fire.Comment)
	for _, table := range []string{"squidmesh_trigger", "squidmesh_fire"} {
		var actor, comment string
		require.NoError(t, store.DB().QueryRowContext(t.Context(), "select actor, comment from "+table).Scan(&actor, &comment))
		require.Equal(t, "ann", actor)
		require.Contains(t, comment, `{"$sealed":{"key":"a"`)
	}
	require.Contains(t, trigger(wrong).Comment, `{"$sealed":{"key":"a"`)
	require.Contains(t, trigger(wrong).Fires[0].Comment, `{"$sealed":{"key":"a"`)

	now = now.Add(time.Hour)
	require.NoError(t, wrong.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, wrong.Stop(context.Background())) })
	require.NoError(t, wrong.TickCron(t.Context()))
	for _, d := range queue.take() {
		outcome, err := wrong.Perform(t.Context(), d)
		require.NoError(t, err)
		require.Equal(t, "fire_started", outcome.Reason)
	}
	moved := trigger(right)
	require.Equal(t, now.Add(24*time.Hour), moved.NextAt)
	require.Equal(t, "it works", moved.Comment)
	require.Len(t, moved.Fires, 2)
	require.Empty(t, moved.Fires[0].Comment)
	require.Equal(t, "it was missed", moved.Fires[1].Comment)

	require.NoError(t, wrong.PauseTrigger(t.Context(), "digest", "nightly", why("nobody reads it")))
	require.Equal(t, "nobody reads it", trigger(wrong).Comment)

	fail := make(chan error, 10)
	fail <- errors.New("no key today")
	fail <- errors.New("no key today")
	broken := open(brokenCodec{keyring(t, "b"), fail})
	require.ErrorIs(t, broken.ResumeTrigger(t.Context(), "digest", "nightly", why("unsaid")), squidmesh.ErrSeal)
	_, err = broken.FireTrigger(t.Context(), "digest", "nightly", why("unsaid"))
	require.ErrorIs(t, err, squidmesh.ErrSeal)
	require.Equal(t, "nobody reads it", trigger(wrong).Comment)
	require.Len(t, trigger(wrong).Fires, 2)
}

// panickingCodec seals but cannot open.
type panickingCodec struct{ squidmesh.Codec }

func (panickingCodec) Open(context.Context, string, string, []byte) ([]byte, error) {
	panic("no key at all")
}

// brokenCodec cannot seal some of the time.
type brokenCodec struct {
	squidmesh.Codec
	fail chan error
}

func (b brokenCodec) Seal(ctx context.Context, place string, plain []byte) (string, []byte, error) {
	select {
	case err := <-b.fail:
		if err == nil {
			panic("no key today")
		}
		return "", nil, err
	default:
		return b.Codec.Seal(ctx, place, plain)
	}
}

// A start that cannot be sealed is refused; the end of an attempt is tried again. A codec that panics is one that cannot seal.
func TestCodec_WhatCannotBeSealedIsNotLost(t *testing.T) {
	t.Parallel()

	for name, failure := range map[string]error{"error": errors.New("no key today"), "panic": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			codec := brokenCodec{keyring(t, "a"), make(chan error, 10)}
			calls := 0
			workflow := relay(squidmesh.Effect(func(context.Context, nothing) error { return nil }))
			workflow.Steps[0].Output = "count"
			workflow.Steps[0].Do = squidmesh.Func(func(context.Context, nothing) (map[string]int, error) {
				calls++
				codec.fail <- failure // with others
				codec.fail <- failure // alone
				return map[string]int{"calls": calls}, nil
			})
			store := dbtest.SQLite(t, nil)
			rt := sealedRuntime(t, store, codec, workflow)
			require.NoError(t, rt.Start(t.Context()))
			codec.fail <- failure
			codec.fail <- failure
			_, err := rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "relay", Payload: word{"hello"}})
			require.ErrorIs(t, err, squidmesh.ErrSeal)
			require.Equal(t, "seal_failed", squidmesh.CodeOf(err))
			require.ErrorContains(t, err, "no key today")

			run, err := rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "relay", Payload: word{"hello"}})
			require.NoError(t, err)
			_, err = rt.Perform(t.Context(), driver.StepJob{RunID: run.ID, Step: "first", Attempt: 1}.Delivery())
			require.NoError(t, err)
			in, err := rt.InspectRun(t.Context(), run.ID, nil)
			require.NoError(t, err)
			require.Equal(t, squidmesh.RunCompleted, in.Run.Status)
			require.Equal(t, 1, calls)
			require.NoError(t, rt.Stop(t.Context()))
		})
	}
}

// slowCodec seals once, when it is told to, and panics from then on.
type slowCodec struct {
	squidmesh.Codec
	first chan chan struct{}
}

func (c slowCodec) Seal(ctx context.Context, place string, plain []byte) (string, []byte, error) {
	gate, ok := <-c.first
	if !ok {
		panic("no key any more")
	}
	<-gate
	return c.Codec.Seal(ctx, place, plain)
}

// A commit that many share has a goroutine of its own: a panic there would end the program.
func TestCodec_APanicInASharedCommitReachesItsCallers(t *testing.T) {
	t.Parallel()

	codec := slowCodec{keyring(t, "a"), make(chan chan struct{})}
	rt, err := squidmesh.New(&squidmesh.Config[*sql.Tx]{
		Store: dbtest.SQLite(t, nil), Executor: deafQueue[*sql.Tx]{}, Codec: codec,
		Workflows: []squidmesh.Workflow{relay(squidmesh.Effect(func(context.Context, nothing) error { return nil }))},
	})
	require.NoError(t, err)
	start := func(ended chan<- error) {
		_, err := rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "relay", Payload: word{"hello"}})
		ended <- err
	}
	first, later, gate := make(chan error), make(chan error), make(chan struct{})
	go start(first)
	codec.first <- gate
	close(codec.first)
	go start(later)
	go start(later)
	require.Eventually(t, func() bool { return rt.Waiting() == 2 }, time.Minute, time.Millisecond)
	close(gate)
	require.NoError(t, <-first)
	for range 2 {
		err := <-later
		require.ErrorIs(t, err, squidmesh.ErrSeal)
		require.ErrorContains(t, err, "no key any more")
	}
}
