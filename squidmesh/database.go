package squidmesh

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/squidmesh/squidmesh-go/internal/lever"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
)

// database is the runtime's way to its store: it owns nothing but the patience with which transactions are tried (patience.go). It is fixed
// by New, has no lock, and knows no part above it; every part reads and writes through it.
type database[TTx any] struct {
	store     driver.Store[TTx]     // seals what it writes, opens what it reads, and says when migrations are missing
	stored    driver.Store[TTx]     // the same without the codec: what stands in the database
	pipeliner driver.Pipeliner[TTx] // nil where the store is none
	traits    driver.StoreTraits
}

func newDatabase[TTx any](c *Config[TTx]) database[TTx] {
	traits := c.Store.Traits()
	stored := migratedStore[TTx]{c.Store, traits}
	pipeliner, _ := c.Store.(driver.Pipeliner[TTx]) // the stores around it have only the methods of a Store
	return database[TTx]{
		store: sealedStore[TTx]{stored, sealer{c.Codec, c.RequireSealed}}, stored: stored, pipeliner: pipeliner, traits: traits,
	}
}

// ownTx runs fn in a transaction of the runtime's own, which no code of users sees.
func (db *database[TTx]) ownTx(ctx context.Context, fn func(ctx context.Context, tx TTx) error) error {
	if db.pipeliner != nil && !lever.Off(lever.Pipeline) {
		return migratedError(db.traits, db.pipeliner.Pipeline(ctx, fn)) // it may hold back what Apply writes
	}
	return db.store.InTx(ctx, fn)
}

// now is the database's time.
func (db *database[TTx]) now(ctx context.Context, tx TTx) (time.Time, error) {
	locked, err := db.store.Lock(ctx, tx, driver.LockQuery{})
	return locked.Now, err
}

// findRun reads a run's row and payload.
func (db *database[TTx]) findRun(ctx context.Context, tx TTx, id RunID) (Run, error) {
	runs, err := db.store.Find(ctx, tx, driver.RunQuery{IDs: []RunID{id}, Payload: true})
	if err != nil {
		return Run{}, fmt.Errorf("find run %s: %w", id, err)
	}
	if len(runs) == 0 {
		return Run{}, fmt.Errorf("run %s: %w", id, ErrNotFound)
	}
	return runs[0], nil
}

// loadRun loads one run.
func (db *database[TTx]) loadRun(ctx context.Context, tx TTx, id RunID, reads flow.Reads) (driver.Loaded, error) {
	loaded, err := db.store.Load(ctx, tx, map[RunID]flow.Reads{id: reads})
	if err != nil {
		return driver.Loaded{}, fmt.Errorf("load run %s: %w", id, err)
	}
	return loaded[id], nil
}

// joinError says of an error within the caller's transaction whether the transaction is to blame.
func (db *database[TTx]) joinError(err error) error {
	if err != nil && db.traits.TxEnded != nil && db.traits.TxEnded(err) && !errors.Is(err, ErrTxUnusable) {
		return fmt.Errorf("%w: %w", ErrTxUnusable, err)
	}
	return err
}
