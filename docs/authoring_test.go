package docs

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/squidmesh"
)

type Order struct {
	ID    string `json:"id"`
	Cents int    `json:"cents"`
}

type Digest struct {
	Day string `json:"day"`
}

// Shop has what the steps depend on.
type Shop[TTx any] struct {
	Settle  time.Duration
	Payment interface {
		Capture(ctx context.Context, key string, cents int) error
	}
	Released bool
}

func (s *Shop[TTx]) Reserve(context.Context, TTx, Order) (out struct {
	Shelf string `json:"shelf"`
}, err error,
) {
	out.Shelf = "B7"
	return out, nil
}

func (s *Shop[TTx]) Release(context.Context, TTx, struct {
	Shelf string `json:"shelf"`
},
) error {
	s.Released = true
	return nil
}

func (s *Shop[TTx]) Score(context.Context, Order) (out struct {
	Score int `json:"score"`
}, err error,
) {
	return out, nil
}

func (s *Shop[TTx]) Decide(_ context.Context, in struct {
	Score int `json:"score"`
},
) (string, error) {
	if in.Score > 50 {
		return "review", nil
	}
	return "pass", nil
}

func (s *Shop[TTx]) Capture(ctx context.Context, in Order) error {
	return s.Payment.Capture(ctx, squidmesh.IdempotencyKey(ctx), in.Cents)
}

func (s *Shop[TTx]) Report(context.Context, Order) error      { return nil }
func (s *Shop[TTx]) Label(context.Context, Order) error       { return nil }
func (s *Shop[TTx]) Decline(context.Context, Order) error     { return nil }
func (s *Shop[TTx]) SendDigest(context.Context, Digest) error { return nil }

func Checkout[TTx any](shop *Shop[TTx]) squidmesh.Workflow {
	return squidmesh.Workflow{
		Name:     "checkout",
		Triggers: []squidmesh.Trigger{squidmesh.Manual("ordered", squidmesh.Payload[Order]())},
		Steps: []squidmesh.Step{
			{Name: "prepare", Next: "decide", OnError: "decline", Parallel: []squidmesh.Step{
				{Name: "reserve", Do: squidmesh.FuncTx(shop.Reserve), Undo: squidmesh.EffectTx(shop.Release)},
				{Name: "score", Do: squidmesh.Func(shop.Score), Retry: squidmesh.Exponential(5, time.Second, 30*time.Second)},
				{Name: "report", Do: squidmesh.Effect(shop.Report), After: []string{"reserve", "score"}},
			}},
			{Name: "decide", Do: squidmesh.Choose(shop.Decide), Routes: map[string]string{"review": "review", "pass": "settle"}},
			{Name: "review", Do: squidmesh.Approval(), Output: "approval", Timeout: 72 * time.Hour, Next: "settle", OnError: "decline"},
			{Name: "settle", Do: squidmesh.Wait(shop.Settle), Next: "capture"},
			{Name: "capture", Do: squidmesh.Effect(shop.Capture), Next: "label"},
			{Name: "label", Do: squidmesh.Effect(shop.Label), OnError: "decline"},
			{Name: "decline", Do: squidmesh.Effect(shop.Decline)},
		},
	}
}

func NightlyDigest[TTx any](shop *Shop[TTx]) squidmesh.Workflow {
	return squidmesh.Workflow{
		Name: "digest",
		Triggers: []squidmesh.Trigger{
			squidmesh.Cron("nightly", "0 7 * * MON-FRI", "Europe/Berlin", squidmesh.Payload[Digest](squidmesh.Defaults{"day": squidmesh.DefaultToday})),
		},
		Steps: []squidmesh.Step{{Name: "send", Do: squidmesh.Effect(shop.SendDigest)}},
	}
}

func TestCheckoutCompiles(t *testing.T) {
	_, err := squidmesh.Compile(Checkout(&Shop[pgx.Tx]{Settle: time.Hour}))
	require.NoError(t, err)
}

func TestNightlyDigestCompiles(t *testing.T) {
	_, err := squidmesh.Compile(NightlyDigest(&Shop[pgx.Tx]{}))
	require.NoError(t, err)
}
