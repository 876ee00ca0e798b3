package squidmesh_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

const cardNumber = "4111-1111"

// tellingStore is a database whose errors repeat what it was given, at length, once it tells.
type tellingStore struct {
	driver.Store[*sql.Tx]
	tells atomic.Bool
}

var errTelling = errors.New("constraint violated by card " + cardNumber + strings.Repeat(" and so on", 1000))

func (s *tellingStore) Lock(ctx context.Context, tx *sql.Tx, q driver.LockQuery) (driver.Locked, error) {
	if s.tells.Load() {
		return driver.Locked{}, errTelling
	}
	return s.Store.Lock(ctx, tx, q)
}

func (s *tellingStore) Triggers(ctx context.Context, tx *sql.Tx, q driver.TriggerQuery) ([]flow.TriggerState, error) {
	if s.tells.Load() {
		return nil, errTelling
	}
	return s.Store.Triggers(ctx, tx, q)
}

// told keeps whatever an observer is told.
type told struct {
	mu  sync.Mutex
	all []any
}

func (s *told) add(o any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, o)
}

func (s *told) Observe(_ context.Context, o squidmesh.Observation) { s.add(o) }

func (s *told) ObserveDelivery(_ context.Context, o squidmesh.DeliveryObservation) { s.add(o) }

func (s *told) ObserveFire(_ context.Context, o flow.Fire) { s.add(o) }

// texts are all texts in the exported fields of a value; of an error that which it says.
func texts(v reflect.Value) []string {
	if !v.IsValid() {
		return nil
	}
	if v.CanInterface() {
		if err, ok := v.Interface().(error); ok && err != nil {
			return []string{err.Error()}
		}
	}
	var all []string
	switch v.Kind() {
	case reflect.String:
		all = append(all, v.String())
	case reflect.Pointer, reflect.Interface:
		all = append(all, texts(v.Elem())...)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				all = append(all, texts(v.Field(i))...)
			}
		}
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 && v.Kind() == reflect.Slice {
			return append(all, string(v.Bytes()))
		}
		for i := range v.Len() {
			all = append(all, texts(v.Index(i))...)
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			all = append(all, texts(key)...)
			all = append(all, texts(v.MapIndex(key))...)
		}
	}
	return all
}

// What the infrastructure says of an error leaves the runtime redacted and short: to observers, and to the queue, which stores it.
func TestRedact_WhatTheInfrastructureSays(t *testing.T) {
	t.Parallel()
	observer, log := &told{}, &logLines{}
	store := &tellingStore{Store: dbtest.SQLite(t, nil, dbtest.River)}
	rt, err := squidmesh.New(&squidmesh.Config[*sql.Tx]{
		Store: store, Executor: &keptQueue[*sql.Tx]{}, Observer: observer, ManualTick: true, Logger: slog.New(slog.NewJSONHandler(log, nil)),
		Redact: func(_, text string) string { return strings.ReplaceAll(text, cardNumber, "****") },
		Workflows: []squidmesh.Workflow{{
			Name: "nightly", Triggers: []squidmesh.Trigger{squidmesh.Cron("yearly", "0 0 1 1 *", "", squidmesh.Contract{})},
			Steps: []squidmesh.Step{{Name: "work", Do: squidmesh.Effect(func(context.Context, nothing) error { return nil })}},
		}},
	})
	require.NoError(t, err)
	require.NoError(t, rt.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, rt.Stop(context.Background())) })
	store.tells.Store(true)
	for _, d := range []driver.Delivery{
		driver.StepJob{RunID: uuid.New(), Step: "work", Attempt: 1}.Delivery(),
		driver.CompensationJob{RunID: uuid.New()}.Delivery(),
		driver.CronJob{Workflow: "nightly", Trigger: "yearly", SignalID: "one"}.Delivery(),
		{Version: 1, Kind: driver.DeliveryKind(strings.Repeat("\xff", 5000)), Step: strings.Repeat("\xff", 5000)},
	} {
		outcome, err := rt.Perform(t.Context(), d)
		said := outcome.Detail
		if err != nil {
			require.ErrorIs(t, err, errTelling)
			said = err.Error()
			require.Contains(t, said, "card ****")
		}
		require.NotEmpty(t, said)
		require.NotContains(t, said, cardNumber)
		require.LessOrEqual(t, len(said), 1000)
	}
	observer.mu.Lock()
	defer observer.mu.Unlock()
	require.Len(t, observer.all, 4)
	for _, o := range observer.all {
		for _, text := range texts(reflect.ValueOf(o)) {
			require.NotContains(t, text, cardNumber, fmt.Sprintf("%T", o))
		}
	}
	for _, line := range log.about(t, "squidmesh: delivery dropped") {
		require.LessOrEqual(t, len(fmt.Sprint(line)), 2000)
	}
}
