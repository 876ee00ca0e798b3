package squidmesh_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/internal/difference"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/driver"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/memstore"
	"github.com/squidmesh/squidmesh-go/squidmesh/pgstore"
)

func TestSealRuns(t *testing.T) {
	t.Parallel()
	sealOn(t, "postgres", func(t *testing.T) driver.Store[pgx.Tx] { return pgstore.New(dbtest.Postgres(t), nil) })
	sealOn(t, "sqlite", func(t *testing.T) driver.Store[*sql.Tx] { return dbtest.SQLite(t, nil) })
	sealOn(t, "memory", func(*testing.T) driver.Store[*memstore.Tx] { return memstore.New(nil) })
}

func sealOn[TTx any](t *testing.T, name string, open func(t *testing.T) driver.Store[TTx]) {
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		for name, test := range map[string]func(*sealBench[TTx]){
			"SealsAllThatACodecWouldHaveSealed": sealsEverything[TTx],
			"ChangesKeys":                       sealChangesKeys[TTx],
			"GoesOnWhereItWasKilled":            sealGoesOn[TTx],
			"LeavesWhatItCannotOpen":            sealLeavesWhatItCannotOpen[TTx],
			"TrustsNothingPlainWhereNoneIsToBe": sealTrustsNothingPlain[TTx],
			"FightsWithNobody":                  sealBesideCommits[TTx],
			"NonsenseIsRefused":                 sealRefusesNonsense[TTx],
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(&sealBench[TTx]{TB: t, store: open(t), queue: &laidUp[TTx]{}})
			})
		}
	})
}

// laidUp is a queue that keeps what is to be delivered until the test takes it.
type laidUp[TTx any] struct {
	mu         sync.Mutex
	deliveries []driver.Delivery
}

func (q *laidUp[TTx]) put(deliveries ...driver.Delivery) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.deliveries = append(q.deliveries, deliveries...)
}

func (q *laidUp[TTx]) take() []driver.Delivery {
	q.mu.Lock()
	defer q.mu.Unlock()
	taken := q.deliveries
	q.deliveries = nil
	return taken
}

func (q *laidUp[TTx]) EnqueueStep(_ context.Context, _ TTx, job driver.StepJob) (driver.JobMetadata, error) {
	q.put(job.Delivery())
	return driver.JobMetadata{JobID: "1"}, nil
}

func (q *laidUp[TTx]) EnqueueSteps(_ context.Context, _ TTx, jobs []driver.StepJob) (all []driver.JobMetadata, _ error) {
	for _, job := range jobs {
		q.put(job.Delivery())
		all = append(all, driver.JobMetadata{JobID: "1"})
	}
	return all, nil
}

func (q *laidUp[TTx]) EnqueueCompensation(_ context.Context, _ TTx, job driver.CompensationJob) (driver.JobMetadata, error) {
	q.put(job.Delivery())
	return driver.JobMetadata{JobID: "1"}, nil
}

func (q *laidUp[TTx]) EnqueueCron(_ context.Context, _ TTx, job driver.CronJob) (driver.JobMetadata, error) {
	q.put(job.Delivery())
	return driver.JobMetadata{JobID: "1"}, nil
}

// sealBench is a database with runs of a workflow whose data are all secret: they have "top secret" in them.
type sealBench[TTx any] struct {
	testing.TB
	store driver.Store[TTx]
	queue *laidUp[TTx]
}

type purchase struct {
	Card string `json:"card"`
}

// sale is a workflow in which all happens that leaves values behind.
func sale() squidmesh.Workflow {
	type charged struct {
		Receipt string `json:"receipt"`
	}
	return squidmesh.Workflow{
		Name: "sale",
		Triggers: []squidmesh.Trigger{
			squidmesh.Manual("shop", squidmesh.Payload[purchase]()),
			squidmesh.Cron("yearly", "@yearly", "", squidmesh.Payload[purchase](squidmesh.Defaults{"card": "top secret of the shop"})),
		},
		Steps: []squidmesh.Step{
			{Name: "charge", Do: squidmesh.Func(func(_ context.Context, in purchase) (charged, error) {
				return charged{"receipt of " + in.Card}, nil
			}), Undo: squidmesh.Effect(func(context.Context, purchase) error { return nil }), Next: "ask"},
			{Name: "ask", Do: squidmesh.Approval(), Output: "approval", Next: "ship", OnError: "refuse"},
			{Name: "ship", Retry: squidmesh.Constant(2, 0), Do: squidmesh.Effect(func(_ context.Context, in purchase) error {
				if strings.Contains(in.Card, "stolen") {
					return squidmesh.WithDetails(map[string]string{"card": in.Card}, fmt.Errorf("card %s is stolen", in.Card))
				}
				return nil
			})},
			{Name: "refuse", Do: squidmesh.Effect(func(context.Context, nothing) error { return nil })},
		},
	}
}

func (b *sealBench[TTx]) runtime(change func(*squidmesh.Config[TTx])) *squidmesh.Runtime[TTx] {
	b.Helper()
	config := squidmesh.Config[TTx]{
		Store: b.store, Executor: b.queue, Workflows: []squidmesh.Workflow{sale()}, ManualTick: true, Logger: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&config)
	}
	rt, err := squidmesh.New(&config)
	require.NoError(b, err)
	return rt
}

func (b *sealBench[TTx]) with(codec squidmesh.Codec) *squidmesh.Runtime[TTx] {
	b.Helper()
	return b.runtime(func(c *squidmesh.Config[TTx]) { c.Codec = codec })
}

func key(current string, more ...string) squidmesh.Codec {
	keys := map[string][]byte{}
	for _, id := range append(more, current) {
		keys[id] = []byte(strings.Repeat(id[:1], 32))
	}
	ring, err := squidmesh.NewKeyring(current, keys)
	if err != nil {
		panic(err)
	}
	return ring
}

// started runs fn with a started runtime.
func (b *sealBench[TTx]) started(rt *squidmesh.Runtime[TTx], fn func()) {
	b.Helper()
	require.NoError(b, rt.Start(b.Context()))
	fn()
	require.NoError(b, rt.Stop(b.Context()))
}

// drain delivers all that is to be delivered.
func (b *sealBench[TTx]) drain(rt *squidmesh.Runtime[TTx]) {
	b.Helper()
	for all := b.queue.take(); len(all) > 0; all = b.queue.take() {
		for _, d := range all {
			_, err := rt.Perform(b.Context(), d)
			require.NoError(b, err)
		}
	}
}

// trade leaves values of every kind behind, and an unfinished run.
func (b *sealBench[TTx]) trade(rt *squidmesh.Runtime[TTx]) {
	b.Helper()
	why := squidmesh.Decision{Actor: "ann", Comment: "top secret is fine", Metadata: json.RawMessage(`{"number":"top secret"}`)}
	b.started(rt, func() {
		start := func(card string) squidmesh.RunID {
			run, err := rt.StartRun(b.Context(), squidmesh.StartParams{Workflow: "sale", Payload: purchase{card}, Key: card})
			require.NoError(b, err)
			b.drain(rt)
			return run.ID
		}
		for _, card := range []string{"top secret good", "top secret stolen"} {
			_, err := rt.ApproveRun(b.Context(), start(card), why)
			require.NoError(b, err)
			b.drain(rt)
		}
		_, err := rt.RejectRun(b.Context(), start("top secret rejected"), why)
		require.NoError(b, err)
		_, err = rt.CancelRun(b.Context(), start("top secret cancelled"), squidmesh.CancelParams{Decision: why, Compensate: true})
		require.NoError(b, err)
		start("top secret open")
		by := squidmesh.TriggerParams{Actor: "ann", Comment: "top secret"}
		require.NoError(b, rt.PauseTrigger(b.Context(), "sale", "yearly", by))
		for range 2 {
			_, err = rt.FireTrigger(b.Context(), "sale", "yearly", by)
			require.NoError(b, err)
		}
		b.drain(rt)
	})
}

// picture is all that is read of the runs and triggers.
func (b *sealBench[TTx]) picture(rt *squidmesh.Runtime[TTx]) string {
	b.Helper()
	page, err := rt.ListRuns(b.Context(), squidmesh.ListParams{})
	require.NoError(b, err)
	var picture []any
	for _, run := range page.Runs {
		in, err := rt.InspectRun(b.Context(), run.ID, &squidmesh.InspectOptions{History: true})
		require.NoError(b, err)
		require.Empty(b, b.unlikeItsAudit(in))
		picture = append(picture, in)
	}
	triggers, err := rt.ListTriggers(b.Context(), squidmesh.ListTriggersParams{})
	require.NoError(b, err)
	data, err := json.MarshalIndent(append(picture, triggers), "", " ")
	require.NoError(b, err)
	return string(data)
}

// unlikeItsAudit says where a run is not what its audit adds up to.
func (b *sealBench[TTx]) unlikeItsAudit(in *squidmesh.Inspection) string {
	b.Helper()
	folded, err := flow.Fold(in.Spec, in.Audit)
	require.NoError(b, err)
	stored := flow.Snapshot{Run: in.Run, Steps: map[flow.StepKey]flow.StepState{}}
	for _, s := range in.Steps {
		for _, row := range []*flow.StepState{s.Do, s.Undo} {
			if row != nil {
				stored.Steps[row.StepKey] = *row
			}
		}
	}
	return difference.Of(stored, folded)
}

// rows is all that stands in the database of runs and triggers.
func (b *sealBench[TTx]) rows() string {
	b.Helper()
	var text []byte
	require.NoError(b, b.store.View(b.Context(), func(ctx context.Context, tx TTx) error {
		runs, err := b.store.Find(ctx, tx, driver.RunQuery{Payload: true})
		require.NoError(b, err)
		var rows []any
		for _, run := range runs {
			history, err := b.store.History(ctx, tx, run.ID)
			require.NoError(b, err)
			run.Key = "" // which is never sealed
			rows = append(rows, run, run.KeyHash, history.Attempts)
			for _, e := range history.Audit {
				if e.Kind != flow.AuditStarted { // which tells the key
					rows = append(rows, e)
				}
			}
		}
		triggers, err := b.store.Triggers(ctx, tx, driver.TriggerQuery{})
		require.NoError(b, err)
		for _, t := range triggers {
			fires, err := b.store.Fires(ctx, tx, driver.FireQuery{Keys: []flow.TriggerKey{t.TriggerKey}, Newest: 10})
			require.NoError(b, err)
			rows = append(rows, t, fires)
		}
		text, err = json.MarshalIndent(rows, "", " ")
		return err
	}))
	return string(text)
}

func (b *sealBench[TTx]) seal(rt *squidmesh.Runtime[TTx], params squidmesh.SealParams) squidmesh.SealResult {
	b.Helper()
	result, err := rt.SealRuns(b.Context(), params)
	require.NoError(b, err)
	return result
}

func sealsEverything[TTx any](b *sealBench[TTx]) {
	plain := b.with(nil)
	b.trade(plain)
	before := b.picture(plain)
	require.Contains(b, b.rows(), "top secret")

	sealed := b.with(key("a"))
	result := b.seal(sealed, squidmesh.SealParams{})
	require.True(b, result.Done)
	require.Equal(b, 7, result.Runs)
	require.Greater(b, result.Values, 7*2)
	require.NotContains(b, b.rows(), "top secret")
	require.NotContains(b, b.rows(), `stolen`)
	require.NotContains(b, b.rows(), `"shop:`, "a hash of a payload tells a payload that can be guessed")
	require.Equal(b, before, b.picture(sealed))

	again := b.seal(sealed, squidmesh.SealParams{})
	require.Equal(b, squidmesh.SealResult{Last: result.Last, Done: true}, again)

	// What is sealed is good to go on with.
	b.started(sealed, func() {
		page, err := sealed.ListRuns(b.Context(), squidmesh.ListParams{Statuses: []squidmesh.RunStatus{squidmesh.RunPaused}})
		require.NoError(b, err)
		require.Len(b, page.Runs, 3)
		for _, run := range page.Runs {
			_, err = sealed.ApproveRun(b.Context(), run.ID, squidmesh.Decision{Actor: "ann", Comment: "top secret"})
			require.NoError(b, err)
		}
		b.drain(sealed)
		start := squidmesh.StartParams{Workflow: "sale", Payload: purchase{"top secret good"}, Key: "top secret good"}
		run, err := sealed.StartRun(b.Context(), start)
		require.NoError(b, err)
		require.True(b, run.Existing)
		require.Equal(b, squidmesh.RunCompleted, run.Status)
	})
	require.NotContains(b, b.rows(), "top secret")
}

func sealChangesKeys[TTx any](b *sealBench[TTx]) {
	old := b.with(key("a"))
	b.trade(old)
	before := b.picture(old)
	both := b.with(key("b", "a"))
	require.Zero(b, b.seal(both, squidmesh.SealParams{}).Values, "what is sealed stays so unless it is asked for")

	_, err := b.with(key("a", "b")).SealRuns(b.Context(), squidmesh.SealParams{Retire: []string{"a"}})
	require.ErrorIs(b, err, squidmesh.ErrSeal)
	require.ErrorContains(b, err, `key "a" is to be retired, and the codec seals with it`)
	require.NotContains(b, b.rows(), `"key": "b"`)

	result := b.seal(both, squidmesh.SealParams{Retire: []string{"a", "z"}})
	require.Equal(b, 7, result.Runs)
	require.NotContains(b, b.rows(), `"key": "a"`)
	require.NotContains(b, b.rows(), `{\"key\":\"a\"`)
	require.Equal(b, before, b.picture(b.with(key("b"))))
	require.Zero(b, b.seal(b.with(key("b")), squidmesh.SealParams{Retire: []string{"a"}}).Values)
}

// dyingStore breaks at the end of one of the transactions that seal.
type dyingStore[TTx any] struct {
	driver.Store[TTx]
	left int
}

func (s *dyingStore[TTx]) SaveSealed(ctx context.Context, tx TTx, values driver.SealedValues) error {
	err := s.Store.SaveSealed(ctx, tx, values)
	if s.left--; s.left == 0 {
		return errBroken
	}
	return err
}

func sealGoesOn[TTx any](b *sealBench[TTx]) {
	plain := b.with(nil)
	b.trade(plain)
	before := b.picture(plain)
	dying := b.runtime(func(c *squidmesh.Config[TTx]) {
		c.Codec, c.Store = key("a"), &dyingStore[TTx]{Store: b.store, left: 3}
	})
	result, err := dying.SealRuns(b.Context(), squidmesh.SealParams{})
	require.ErrorIs(b, err, errBroken)
	require.Equal(b, 2, result.Runs, "whole runs, and the third not at all")
	require.False(b, result.Done)

	// It goes on by small pieces.
	rest := b.with(key("a"))
	total, calls := result, 0
	for ; !total.Done; calls++ {
		more := b.seal(rest, squidmesh.SealParams{After: total.Last, Limit: 2})
		require.LessOrEqual(b, more.Runs, 2)
		more.Runs, more.Values = total.Runs+more.Runs, total.Values+more.Values
		total = more
	}
	require.Equal(b, 3, calls)
	require.Equal(b, 7, total.Runs)
	require.NotContains(b, b.rows(), "top secret")
	require.Equal(b, before, b.picture(rest))
}

func sealLeavesWhatItCannotOpen[TTx any](b *sealBench[TTx]) {
	old := b.with(key("a"))
	b.trade(old)
	before, rows := b.picture(old), b.rows()
	result := b.seal(b.with(key("b")), squidmesh.SealParams{Retire: []string{"a"}})
	require.True(b, result.Done)
	require.Zero(b, result.Runs)
	require.Zero(b, result.Values)
	require.Equal(b, b.seal(b.with(key("b", "a")), squidmesh.SealParams{Retire: []string{"a"}}).Values, result.Unreadable)
	require.NotEqual(b, rows, b.rows())
	require.Equal(b, before, b.picture(b.with(key("b"))))
}

// sealTrustsNothingPlain: else whoever may write to the tables would have a forgery sealed.
func sealTrustsNothingPlain[TTx any](b *sealBench[TTx]) {
	plain := b.with(nil)
	b.trade(plain)
	rows := b.rows()
	strict := b.runtime(func(c *squidmesh.Config[TTx]) { c.Codec, c.RequireSealed = key("b", "a"), true })
	_, err := strict.SealRuns(b.Context(), squidmesh.SealParams{})
	var bad *squidmesh.InputError
	require.ErrorAs(b, err, &bad)
	require.Equal(b, "Retire", bad.Field)
	require.Zero(b, b.seal(strict, squidmesh.SealParams{Retire: []string{"a"}}).Values)
	require.Equal(b, rows, b.rows())
}

// sealBesideCommits: steps end and keys change while the same runs are sealed, again and again.
func sealBesideCommits[TTx any](b *sealBench[TTx]) {
	plain := b.with(nil)
	const runs = 12
	for i := range runs {
		_, err := plain.StartRun(b.Context(), squidmesh.StartParams{Workflow: "sale", Payload: purchase{fmt.Sprintf("top secret no. %d", i)}})
		require.NoError(b, err)
	}
	rt := b.with(key("b", "a"))
	require.NoError(b, rt.Start(b.Context()))
	other := b.with(key("a", "b"))
	stop, sealers := make(chan struct{}), make(chan error, 2)
	for _, s := range []struct {
		rt     *squidmesh.Runtime[TTx]
		retire string
	}{{rt, "a"}, {other, "b"}} {
		go func() {
			for {
				if _, err := s.rt.SealRuns(b.Context(), squidmesh.SealParams{Retire: []string{s.retire}}); err != nil {
					sealers <- err
					return
				}
				select {
				case <-stop:
					sealers <- nil
					return
				default:
				}
			}
		}()
	}
	var steps sync.WaitGroup
	for range 4 {
		steps.Go(func() {
			for all := b.queue.take(); len(all) > 0; all = b.queue.take() {
				b.queue.put(all[1:]...)
				if _, err := rt.Perform(b.Context(), all[0]); err != nil {
					b.Error(err)
				}
			}
		})
	}
	steps.Wait()
	page, err := rt.ListRuns(b.Context(), squidmesh.ListParams{})
	require.NoError(b, err)
	require.Len(b, page.Runs, runs)
	for _, run := range page.Runs {
		require.Equal(b, squidmesh.RunPaused, run.Status)
		_, err := rt.ApproveRun(b.Context(), run.ID, squidmesh.Decision{Actor: "ann", Comment: "top secret"})
		require.NoError(b, err)
		b.drain(rt)
	}
	completed, err := rt.ListRuns(b.Context(), squidmesh.ListParams{Statuses: []squidmesh.RunStatus{squidmesh.RunCompleted}})
	require.NoError(b, err)
	require.Len(b, completed.Runs, runs)
	close(stop)
	for range cap(sealers) {
		require.NoError(b, <-sealers)
	}
	require.NoError(b, rt.Stop(b.Context()))

	b.seal(rt, squidmesh.SealParams{})
	require.NotContains(b, b.rows(), "top secret")
	picture := b.picture(rt)
	for i := range runs {
		require.Contains(b, picture, fmt.Sprintf(`"receipt": "receipt of top secret no. %d"`, i))
	}
}

func sealRefusesNonsense[TTx any](b *sealBench[TTx]) {
	for field, call := range map[string]func() (squidmesh.SealResult, error){
		"Config.Codec": func() (squidmesh.SealResult, error) { return b.with(nil).SealRuns(b.Context(), squidmesh.SealParams{}) },
		"Limit": func() (squidmesh.SealResult, error) {
			return b.with(key("a")).SealRuns(b.Context(), squidmesh.SealParams{Limit: -1})
		},
		"key id": func() (squidmesh.SealResult, error) {
			return b.with(key("a")).SealRuns(b.Context(), squidmesh.SealParams{Retire: []string{"\xff"}})
		},
	} {
		_, err := call()
		var bad *squidmesh.InputError
		require.ErrorAs(b, err, &bad)
		require.Equal(b, field, bad.Field)
	}
	ctx, cancel := context.WithCancel(b.Context())
	cancel()
	result, err := b.with(key("a")).SealRuns(ctx, squidmesh.SealParams{})
	require.ErrorIs(b, err, context.Canceled)
	require.False(b, result.Done)
}

// watchfulStore notes in what order a transaction locks, reads and seals.
type watchfulStore struct {
	driver.Store[*memstore.Tx]
	calls []string
}

func (s *watchfulStore) InTx(ctx context.Context, fn func(ctx context.Context, tx *memstore.Tx) error) error {
	s.calls = append(s.calls, "begin")
	return s.Store.InTx(ctx, fn)
}

func (s *watchfulStore) Lock(ctx context.Context, tx *memstore.Tx, q driver.LockQuery) (driver.Locked, error) {
	s.calls = append(s.calls, "lock")
	return s.Store.Lock(ctx, tx, q)
}

func (s *watchfulStore) Find(ctx context.Context, tx *memstore.Tx, q driver.RunQuery) ([]squidmesh.Run, error) {
	s.calls = append(s.calls, "read")
	return s.Store.Find(ctx, tx, q)
}

func (s *watchfulStore) Triggers(ctx context.Context, tx *memstore.Tx, q driver.TriggerQuery) ([]flow.TriggerState, error) {
	if q.Lock {
		s.calls = append(s.calls, "lock")
	}
	return s.Store.Triggers(ctx, tx, q)
}

func (s *watchfulStore) Fires(ctx context.Context, tx *memstore.Tx, q driver.FireQuery) ([]flow.Fire, error) {
	s.calls = append(s.calls, "read")
	return s.Store.Fires(ctx, tx, q)
}

func (s *watchfulStore) SaveSealed(ctx context.Context, tx *memstore.Tx, values driver.SealedValues) error {
	s.calls = append(s.calls, "seal")
	return s.Store.SaveSealed(ctx, tx, values)
}

// What is sealed was read under the lock, and no run waits for another one.
func TestSealRuns_LocksOneRunBeforeItReads(t *testing.T) {
	t.Parallel()
	watchful := &watchfulStore{Store: memstore.New(nil)}
	b := &sealBench[*memstore.Tx]{TB: t, store: watchful, queue: &laidUp[*memstore.Tx]{}}
	b.trade(b.with(nil))
	watchful.calls = nil
	b.seal(b.with(key("a")), squidmesh.SealParams{})
	require.Equal(t, strings.Repeat("begin lock read seal ", 8), strings.Join(watchful.calls, " ")+" ", "seven runs and a trigger")
}

// Whatever happens to runs between, and however the keys change, what stands there is what the audit says, and can be read.
func TestSealRuns_BesideWhateverHappens(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		b := &sealBench[*memstore.Tx]{TB: quiet{t, r}, store: memstore.New(nil), queue: &laidUp[*memstore.Tx]{}}
		rt := b.with(nil)
		require.NoError(r, rt.Start(t.Context()))
		defer func() { require.NoError(r, rt.Stop(context.WithoutCancel(t.Context()))) }()
		current, sealable := "", false
		names := []string{"a", "b", "c"}
		turn := func(codec squidmesh.Codec) {
			require.NoError(r, rt.Stop(t.Context()))
			rt = b.with(codec)
			require.NoError(r, rt.Start(t.Context()))
		}
		runs := map[squidmesh.RunID]string{}
		one := func(r *rapid.T) squidmesh.RunID {
			if len(runs) == 0 {
				r.Skip()
			}
			ids := []squidmesh.RunID{}
			for id := range runs {
				ids = append(ids, id)
			}
			slices.SortFunc(ids, func(a, b squidmesh.RunID) int { return slices.Compare(a[:], b[:]) })
			return rapid.SampledFrom(ids).Draw(r, "run")
		}
		decision := squidmesh.Decision{Actor: "ann", Comment: "top secret"}
		r.Repeat(map[string]func(*rapid.T){
			"start": func(r *rapid.T) {
				card := fmt.Sprintf("top secret %s %d", rapid.SampledFrom([]string{"good", "stolen"}).Draw(r, "card"), len(runs))
				run, err := rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "sale", Payload: purchase{card}, Key: card})
				require.NoError(r, err)
				runs[run.ID] = card
			},
			"deliver": func(r *rapid.T) {
				all := b.queue.take()
				if len(all) == 0 {
					r.Skip()
				}
				i := rapid.IntRange(0, len(all)-1).Draw(r, "which")
				b.queue.put(slices.Delete(slices.Clone(all), i, i+1)...)
				_, err := rt.Perform(t.Context(), all[i])
				require.NoError(r, err)
			},
			"decide": func(r *rapid.T) {
				decide := rapid.SampledFrom([]func(context.Context, squidmesh.RunID, squidmesh.Decision) (squidmesh.Run, error){rt.ApproveRun, rt.RejectRun}).Draw(r, "how")
				_, _ = decide(t.Context(), one(r), decision) // or nothing is to be decided
			},
			"cancel": func(r *rapid.T) {
				_, _ = rt.CancelRun(t.Context(), one(r), squidmesh.CancelParams{Decision: decision, Compensate: rapid.Bool().Draw(r, "undo")})
			},
			"turn": func(r *rapid.T) {
				current = rapid.SampledFrom(names).Draw(r, "key")
				turn(key(current, slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == current })...))
				sealable = true
			},
			"seal": func(r *rapid.T) {
				if !sealable {
					r.Skip()
				}
				retire := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == current })
				params := squidmesh.SealParams{Limit: rapid.IntRange(0, 3).Draw(r, "limit"), Retire: retire[:rapid.IntRange(0, 2).Draw(r, "retired")]}
				for done := false; !done; {
					result, err := rt.SealRuns(t.Context(), params)
					require.NoError(r, err)
					require.Zero(r, result.Unreadable)
					params.After, done = result.Last, result.Done || rapid.Bool().Draw(r, "stop")
				}
			},
			"": func(r *rapid.T) {
				for id, card := range runs {
					in, err := rt.InspectRun(t.Context(), id, &squidmesh.InspectOptions{History: true})
					require.NoError(r, err)
					require.Empty(r, b.unlikeItsAudit(in))
					require.JSONEq(r, fmt.Sprintf(`{"card":%q}`, card), string(in.Run.Payload))
					for _, step := range in.Steps {
						if step.Name == "charge" && step.Do != nil && step.Do.Status == flow.StepCompleted {
							require.JSONEq(r, fmt.Sprintf(`{"receipt":"receipt of %s"}`, card), string(step.Output))
						}
					}
				}
			},
		})
		if sealable {
			retire := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == current })
			_, err := rt.SealRuns(t.Context(), squidmesh.SealParams{Retire: retire})
			require.NoError(r, err)
			require.NotContains(r, b.rows(), "top secret")
			for _, id := range retire {
				require.NotContains(r, b.rows(), fmt.Sprintf(`"key": %q`, id))
			}
		}
	})
}

// quiet is a test whose failures are those of a property.
type quiet struct {
	testing.TB
	r *rapid.T
}

func (q quiet) Errorf(format string, args ...any) { q.r.Errorf(format, args...) }

func (q quiet) FailNow() { q.r.FailNow() }
