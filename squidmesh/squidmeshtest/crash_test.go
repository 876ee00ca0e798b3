package squidmeshtest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/memstore"
	"github.com/squidmesh/squidmesh-go/squidmesh/squidmeshtest"
)

// listener hears what is said of a test.
type listener struct {
	testing.TB
	said []string
}

func (l *listener) Errorf(format string, args ...any) {
	l.said = append(l.said, fmt.Sprintf(format, args...))
}

// shopStory is a world with a shop in it.
func shopStory(careless, continued bool) func(t testing.TB) (*squidmeshtest.Kit[*memstore.Tx], func() any) {
	return func(t testing.TB) (*squidmeshtest.Kit[*memstore.Tx], func() any) {
		b := &bank{careless: careless}
		kit := squidmeshtest.NewOn(t, squidmeshtest.Options[*memstore.Tx]{
			Config: squidmesh.Config[*memstore.Tx]{Workflows: []squidmesh.Workflow{shop(b)}, DisableContinuation: !continued},
			Open: func(clock func(time.Time) time.Time) driver.Store[*memstore.Tx] {
				return memstore.New(&memstore.Options{Clock: clock})
			},
		})
		return kit, func() any {
			approved(kit)
			return []any{b.calls, rows(kit, "reserved")}
		}
	}
}

func TestCrashEverywhere_PassesWhatIsIdempotent(t *testing.T) {
	t.Parallel()

	for _, continued := range []bool{true, false} {
		squidmeshtest.CrashEverywhere(t, shopStory(false, continued))
	}
}

func TestCrashEverywhere_FindsAnEffectThatIsRepeated(t *testing.T) {
	t.Parallel()

	l := &listener{TB: t}
	squidmeshtest.CrashEverywhere(l, shopStory(true, true))
	require.Len(t, l.said, 1, "the money is charged twice only when its step ended and that could not be written")
	require.Contains(t, l.said[0], "crash before commit 6 (succeeded charge) makes a difference")
	require.Contains(t, l.said[0], "charge 1001")
}

func TestCrashEverywhere_FindsATransactionThatIsNotUsed(t *testing.T) {
	t.Parallel()

	l := &listener{TB: t}
	squidmeshtest.CrashEverywhere(l, func(t testing.TB) (*squidmeshtest.Kit[*memstore.Tx], func() any) {
		n := 0
		kit := squidmeshtest.New(t, squidmesh.Workflow{
			Name:     "counting",
			Triggers: []squidmesh.Trigger{squidmesh.Manual("by_hand", squidmesh.Contract{})},
			Steps: []squidmesh.Step{{Name: "count", Do: squidmesh.EffectTx(func(context.Context, *memstore.Tx, struct{}) error {
				n++ // not through the transaction
				return nil
			})}},
		})
		return kit, func() any {
			kit.Start("counting", nil)
			kit.RunUntilIdle()
			return n
		}
	})
	require.Len(t, l.said, 1)
	require.True(t, strings.HasPrefix(l.said[0], "crash before commit 3 (succeeded count)"), l.said[0])
}

func TestCrashEverywhere_FindsAStoryThatChanges(t *testing.T) {
	t.Parallel()

	l, worlds := &listener{TB: t}, 0
	squidmeshtest.CrashEverywhere(l, func(t testing.TB) (*squidmeshtest.Kit[*memstore.Tx], func() any) {
		worlds++
		kit, odd := squidmeshtest.New(t, choices(&bank{})), worlds%2 == 1
		return kit, func() any {
			run := kit.Start("choices", nil)
			if odd {
				run.Cancel(squidmesh.CancelParams{})
			}
			kit.RunUntilIdle()
			return nil
		}
	})
	require.NotEmpty(t, l.said)
	require.Contains(t, strings.Join(l.said, ""), "not the same each time")
}

func TestCrashEverywhere_CronTransactionsAndFailures(t *testing.T) {
	t.Parallel()

	squidmeshtest.CrashEverywhere(t, func(t testing.TB) (*squidmeshtest.Kit[*memstore.Tx], func() any) {
		var windows []string
		digest := squidmesh.Workflow{
			Name:     "digest",
			Triggers: []squidmesh.Trigger{squidmesh.Cron("nightly", "0 7 * * *", "", squidmesh.Contract{})},
			Steps:    []squidmesh.Step{{Name: "send", Do: squidmesh.Log(0, "sent")}},
		}
		kit := squidmeshtest.New(t, digest, shop(&bank{}))
		kit.On("charge").Fail(squidmesh.Fail(errors.New("card declined")))
		return kit, func() any {
			var run *squidmeshtest.Run[*memstore.Tx]
			kit.InTx(func(ctx context.Context, tx *memstore.Tx) error {
				tx.Set("ordered", 1)
				result, err := kit.Runtime().StartRunTx(ctx, tx, squidmesh.StartParams{Workflow: "shop", Payload: order{ID: "1"}})
				run = kit.Find(result.ID)
				return err
			})
			kit.Advance(24 * time.Hour)
			run.Approve(maria)
			kit.RunUntilIdle()
			for _, digest := range kit.Runs("digest") {
				windows = append(windows, digest.Inspect().Run.WindowAt.String())
			}
			return []any{windows, rows(kit, "ordered", "reserved", "released")}
		}
	})
}
