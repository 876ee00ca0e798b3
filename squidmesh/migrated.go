package squidmesh

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// migratedError names an error of the store's own statements that means that the tables are missing, or older than the program. Errors of an
// executor, whose tables are its own, stay as they are.
func migratedError(t driver.StoreTraits, err error) error {
	if err == nil || t.NotMigrated == nil || errors.Is(err, ErrNotMigrated) || errors.Is(err, ErrDispatch) || !t.NotMigrated(err) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrNotMigrated, err)
}

// migratedStore is a store whose statements say so when migrations are missing. It stands around the statements and not around the
// transactions, in which users' code may miss tables of its own.
type migratedStore[TTx any] struct {
	driver.Store[TTx]
	traits driver.StoreTraits
}

func (s migratedStore[TTx]) Lock(ctx context.Context, tx TTx, q driver.LockQuery) (driver.Locked, error) {
	answer, err := s.Store.Lock(ctx, tx, q)
	return answer, migratedError(s.traits, err)
}

func (s migratedStore[TTx]) Load(ctx context.Context, tx TTx, reads map[RunID]flow.Reads) (map[RunID]driver.Loaded, error) {
	answer, err := s.Store.Load(ctx, tx, reads)
	return answer, migratedError(s.traits, err)
}

func (s migratedStore[TTx]) InsertRun(ctx context.Context, tx TTx, run Run) (*Run, error) {
	answer, err := s.Store.InsertRun(ctx, tx, run)
	return answer, migratedError(s.traits, err)
}

func (s migratedStore[TTx]) FreeKey(ctx context.Context, tx TTx, id RunID) error {
	return migratedError(s.traits, s.Store.FreeKey(ctx, tx, id))
}

func (s migratedStore[TTx]) Apply(ctx context.Context, tx TTx, ts []flow.Transition) error {
	return migratedError(s.traits, s.Store.Apply(ctx, tx, ts))
}

func (s migratedStore[TTx]) Find(ctx context.Context, tx TTx, q driver.RunQuery) ([]Run, error) {
	answer, err := s.Store.Find(ctx, tx, q)
	return answer, migratedError(s.traits, err)
}

func (s migratedStore[TTx]) History(ctx context.Context, tx TTx, id RunID) (driver.History, error) {
	answer, err := s.Store.History(ctx, tx, id)
	return answer, migratedError(s.traits, err)
}

func (s migratedStore[TTx]) Unsealed(ctx context.Context, tx TTx, q driver.UnsealedQuery) (driver.UnsealedPage, error) {
	answer, err := s.Store.Unsealed(ctx, tx, q)
	return answer, migratedError(s.traits, err)
}

func (s migratedStore[TTx]) SaveSealed(ctx context.Context, tx TTx, values driver.SealedValues) error {
	return migratedError(s.traits, s.Store.SaveSealed(ctx, tx, values))
}

func (s migratedStore[TTx]) TakeUntold(ctx context.Context, tx TTx, before time.Time, limit int) ([]driver.EntryKey, error) {
	answer, err := s.Store.TakeUntold(ctx, tx, before, limit)
	return answer, migratedError(s.traits, err)
}

func (s migratedStore[TTx]) SaveSpecs(ctx context.Context, tx TTx, specs []*Spec, note bool) (bool, error) {
	answer, err := s.Store.SaveSpecs(ctx, tx, specs, note)
	return answer, migratedError(s.traits, err)
}

func (s migratedStore[TTx]) Specs(ctx context.Context, tx TTx, shapes []string) (map[string]*Spec, error) {
	answer, err := s.Store.Specs(ctx, tx, shapes)
	return answer, migratedError(s.traits, err)
}

func (s migratedStore[TTx]) Scope(ctx context.Context, tx TTx) (string, error) {
	answer, err := s.Store.Scope(ctx, tx)
	return answer, migratedError(s.traits, err)
}

func (s migratedStore[TTx]) Workers(ctx context.Context, tx TTx, tick driver.WorkerTick) (driver.WorkerReport, error) {
	answer, err := s.Store.Workers(ctx, tx, tick)
	return answer, migratedError(s.traits, err)
}

func (s migratedStore[TTx]) Triggers(ctx context.Context, tx TTx, q driver.TriggerQuery) ([]flow.TriggerState, error) {
	answer, err := s.Store.Triggers(ctx, tx, q)
	return answer, migratedError(s.traits, err)
}

func (s migratedStore[TTx]) Fires(ctx context.Context, tx TTx, q driver.FireQuery) ([]flow.Fire, error) {
	answer, err := s.Store.Fires(ctx, tx, q)
	return answer, migratedError(s.traits, err)
}

func (s migratedStore[TTx]) SaveCron(ctx context.Context, tx TTx, change driver.CronChange) ([]flow.Fire, error) {
	answer, err := s.Store.SaveCron(ctx, tx, change)
	return answer, migratedError(s.traits, err)
}

func (s migratedStore[TTx]) Prune(ctx context.Context, tx TTx, q driver.PruneQuery) (driver.Pruned, error) {
	answer, err := s.Store.Prune(ctx, tx, q)
	return answer, migratedError(s.traits, err)
}
