package docs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/internal/dbtest"
	"github.com/squidmesh/squidmesh-go/squidmesh"
	"github.com/squidmesh/squidmesh-go/squidmesh/flow"
	"github.com/squidmesh/squidmesh-go/squidmesh/squidmeshtest"
)

// startOnPostgres runs workflows on a schema of its own, with River, until the test ends.
func startOnPostgres(t *testing.T, workflows ...squidmesh.Workflow) (*pgxpool.Pool, *squidmesh.Runtime[pgx.Tx]) {
	t.Helper()
	pool := dbtest.Postgres(t, dbtest.River)
	rt, stop := worker(t, pool, workflows...)
	t.Cleanup(stop)
	return pool, rt
}

// oneStep is a workflow of one step, started by hand with a payload of type T.
func oneStep[T any](name string, step squidmesh.Step) squidmesh.Workflow {
	return squidmesh.Workflow{
		Name: name, Triggers: []squidmesh.Trigger{squidmesh.Manual("asked", squidmesh.Payload[T]())}, Steps: []squidmesh.Step{step},
	}
}

// placeOrder writes an order and starts its run. Both exist afterwards, or neither.
func placeOrder(ctx context.Context, pool *pgxpool.Pool, rt *squidmesh.Runtime[pgx.Tx], order Order) error {
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `insert into customer_order (id, cents) values ($1, $2)`, order.ID, order.Cents); err != nil {
			return err
		}
		_, err := rt.StartRunTx(ctx, tx, squidmesh.StartParams{Workflow: "checkout", Key: "order-" + order.ID, Payload: order})
		return err
	})
	if err == nil {
		rt.Wake()
	}
	return err
}

func TestPattern_StartBesideYourWrites(t *testing.T) {
	t.Parallel()
	pool, rt := startOnPostgres(t, oneStep[Order]("checkout", squidmesh.Step{
		Name: "ship", Do: squidmesh.Effect(func(context.Context, Order) error { return nil }),
	}))
	_, err := pool.Exec(t.Context(), `create table customer_order (id text primary key, cents int check (cents > 0))`)
	require.NoError(t, err)
	require.NoError(t, placeOrder(t.Context(), pool, rt, Order{ID: "1001", Cents: 4990}))
	require.Error(t, placeOrder(t.Context(), pool, rt, Order{ID: "1002"}))
	page, err := rt.ListRuns(t.Context(), squidmesh.ListParams{})
	require.NoError(t, err)
	require.Len(t, page.Runs, 1)
}

// Gateway is a payment provider's client. A repeated call with the same key returns the first one's answer.
type Gateway interface {
	Charge(ctx context.Context, key string, cents int) (status int, retryAfter time.Duration, err error)
}

type Payments struct{ Gateway Gateway }

func (p *Payments) Charge(ctx context.Context, in Order) error {
	status, retryAfter, err := p.Gateway.Charge(ctx, squidmesh.IdempotencyKey(ctx), in.Cents)
	return classify(status, retryAfter, err)
}

// classify tells what may help from what will not.
func classify(status int, retryAfter time.Duration, err error) error {
	switch {
	case err != nil: // no answer: it may have happened, and the key makes a repeat safe
		return err
	case status == http.StatusPaymentRequired: // for good, and the next step can look at the code
		return squidmesh.Fail(squidmesh.WithCode("card_declined", errors.New("card declined")))
	case status == http.StatusTooManyRequests: // they know when
		return squidmesh.RetryAfter(retryAfter, errors.New("429 Too Many Requests"))
	case status >= 500: // by the policy
		return fmt.Errorf("gateway answered %d", status)
	case status >= 400: // a mistake of ours, which no retry mends
		return squidmesh.Fail(fmt.Errorf("gateway answered %d", status))
	}
	return nil
}

type gateway struct {
	answers []int
	keys    map[string]bool
}

func (g *gateway) Charge(_ context.Context, key string, _ int) (int, time.Duration, error) {
	g.keys[key] = true
	answer := g.answers[0]
	g.answers = g.answers[1:]
	if answer == 0 {
		return 0, 0, errors.New("connection reset")
	}
	return answer, 7 * time.Second, nil
}

func TestPattern_Errors(t *testing.T) {
	t.Parallel()
	p := &Payments{}
	kit := squidmeshtest.New(t, oneStep[Order]("pay", squidmesh.Step{
		Name: "charge", Do: squidmesh.Effect(p.Charge), Retry: squidmesh.Exponential(5, time.Second, time.Minute),
	}))
	for name, c := range map[string]struct {
		answers  []int
		status   squidmesh.RunStatus
		attempts int
		code     string
	}{
		"transient": {[]int{0, 503, 429, 200}, squidmesh.RunCompleted, 4, ""},
		"declined":  {[]int{402}, squidmesh.RunFailed, 1, "card_declined"},
		"our fault": {[]int{400}, squidmesh.RunFailed, 1, "error"},
		"exhausted": {[]int{500, 500, 500, 500, 500}, squidmesh.RunFailed, 5, "error"},
	} {
		g := &gateway{answers: c.answers, keys: map[string]bool{}}
		p.Gateway = g
		run := kit.Start("pay", Order{ID: "1001", Cents: 4990})
		kit.RunUntilIdle()
		require.Equal(t, c.status, run.Status(), name)
		require.Empty(t, g.answers, name)
		require.Len(t, g.keys, 1, name)
		if c.code != "" {
			require.Equal(t, c.code, run.Inspect().Run.Reason.Code, name)
		}
	}
}

// Till is a system without idempotency keys, which nobody may call twice without a look.
type Till struct {
	Open func(ctx context.Context) error
}

func Withdraw(till *Till) squidmesh.Workflow {
	return squidmesh.Workflow{
		Name:     "withdraw",
		Triggers: []squidmesh.Trigger{squidmesh.Manual("asked", squidmesh.Payload[Order]())},
		Steps: []squidmesh.Step{
			{Name: "pay_out", Do: squidmesh.Effect(till.PayOut), MaxLosses: 1, OnError: "look", Next: "book"},
			{Name: "look", Description: "Was it paid? Approve if it was.", Do: squidmesh.Approval(), Output: "seen", Next: "book", OnError: squidmesh.Complete},
			{Name: "book", Do: squidmesh.Effect(till.Book)},
		},
	}
}

func (till *Till) PayOut(ctx context.Context, _ Order) error { return till.Open(ctx) }
func (till *Till) Book(context.Context, Order) error         { return nil }

func TestPattern_AskWhatBecameOfIt(t *testing.T) {
	t.Parallel()
	kit := squidmeshtest.New(t, Withdraw(&Till{}))
	kit.On("pay_out").Die()
	run := kit.Start("withdraw", Order{ID: "1001", Cents: 4990})
	kit.RunUntilIdle()
	require.Equal(t, squidmesh.RunPaused, run.Status())
	run.Approve(squidmesh.Decision{Actor: "ana"})
	kit.RunUntilIdle()
	require.Equal(t, squidmesh.RunCompleted, run.Status())
}

// Trip books three things, or none.
type Trip struct{ Log []string }

func (t *Trip) do(what string) func(context.Context, Order) error {
	return func(context.Context, Order) error {
		t.Log = append(t.Log, what)
		return nil
	}
}

func BookTrip(trip *Trip) squidmesh.Workflow {
	return squidmesh.Workflow{
		Name:     "trip",
		Triggers: []squidmesh.Trigger{squidmesh.Manual("booked", squidmesh.Payload[Order]())},
		Steps: []squidmesh.Step{
			{Name: "flight", Do: squidmesh.Effect(trip.do("book flight")), Undo: squidmesh.Effect(trip.do("cancel flight")), Next: "hotel"},
			{Name: "hotel", Do: squidmesh.Effect(trip.do("book hotel")), Undo: squidmesh.Effect(trip.do("cancel hotel")), Next: "pay"},
			{Name: "pay", Do: squidmesh.Effect(trip.do("pay")), Retry: squidmesh.Exponential(3, time.Second, time.Minute)},
		},
	}
}

func TestPattern_Saga(t *testing.T) {
	t.Parallel()
	trip := &Trip{}
	kit := squidmeshtest.New(t, BookTrip(trip))
	kit.On("pay").Fail(errors.New("no funds"))
	run := kit.Start("trip", Order{ID: "1001"})
	kit.RunUntilIdle()
	require.Equal(t, squidmesh.RunFailed, run.Status())
	require.Equal(t, []string{"book flight", "book hotel", "cancel hotel", "cancel flight"}, trip.Log)
}

// Desk decides on claims.
type Desk struct{ Closed string }

func Claim(desk *Desk) squidmesh.Workflow {
	return squidmesh.Workflow{
		Name:     "claim",
		Triggers: []squidmesh.Trigger{squidmesh.Manual("filed", squidmesh.Payload[Order]())},
		Steps: []squidmesh.Step{
			{Name: "review", Do: squidmesh.Approval(), Output: "approval", Timeout: 72 * time.Hour, Next: "pay", OnError: "close"},
			{Name: "pay", Do: squidmesh.Effect(desk.Pay)},
			{Name: "close", Do: squidmesh.Effect(desk.Close)},
		},
	}
}

func (d *Desk) Pay(_ context.Context, in struct {
	ID       string                   `json:"id"`
	Approval squidmesh.ApprovalResult `json:"approval"`
},
) error {
	d.Closed = in.ID + " paid, said " + in.Approval.Actor
	return nil
}

func (d *Desk) Close(ctx context.Context, in Order) error {
	failure, _ := squidmesh.Failure(ctx)
	if failure.Code == flow.CodeDecisionExpired {
		d.Closed = in.ID + " closed: nobody looked at it"
	} else {
		d.Closed = in.ID + " closed: " + failure.Message
	}
	return nil
}

func TestPattern_Approval(t *testing.T) {
	t.Parallel()
	desk := &Desk{}
	kit := squidmeshtest.New(t, Claim(desk))
	run := kit.Start("claim", Order{ID: "1001"})
	kit.RunDue()
	run.Approve(squidmesh.Decision{Actor: "ana"})
	kit.RunUntilIdle()
	require.Equal(t, "1001 paid, said ana", desk.Closed)

	kit.Start("claim", Order{ID: "1002"})
	kit.Advance(73 * time.Hour)
	require.Equal(t, "1002 closed: nobody looked at it", desk.Closed)

	run = kit.Start("claim", Order{ID: "1003"})
	kit.RunDue()
	run.Reject(squidmesh.Decision{Actor: "ana", Comment: "no receipt"})
	kit.RunUntilIdle()
	require.Contains(t, desk.Closed, "1003 closed: ")
	require.NotContains(t, desk.Closed, "nobody")
	t.Log(desk.Closed)
}

// Reminder is a payload with a time in it.
type Reminder struct {
	Text string    `json:"text"`
	At   time.Time `json:"at"`
}

// Calendar is what reminders go by.
type Calendar struct{ Now func() time.Time }

// Until passes once the time has come. Each look before is an attempt.
func (c *Calendar) Until(_ context.Context, in Reminder) error {
	if left := in.At.Sub(c.Now()); left > 0 {
		return squidmesh.RetryAfter(left, squidmesh.WithCode("not_yet", errors.New("waits for "+in.At.Format(time.RFC3339))))
	}
	return nil
}

func Remind(c *Calendar, send func(context.Context, Reminder) error) squidmesh.Workflow {
	return squidmesh.Workflow{
		Name:     "remind",
		Triggers: []squidmesh.Trigger{squidmesh.Manual("set", squidmesh.Payload[Reminder]())},
		Steps: []squidmesh.Step{
			{Name: "until", Do: squidmesh.Effect(c.Until), Retry: squidmesh.Constant(10, time.Second), Next: "send"},
			{Name: "send", Do: squidmesh.Effect(send)},
		},
	}
}

func TestPattern_WaitUntil(t *testing.T) {
	t.Parallel()
	var kit interface{ Now() time.Time }
	var sent time.Time
	c := &Calendar{Now: func() time.Time { return kit.Now() }}
	k := squidmeshtest.New(t, Remind(c, func(context.Context, Reminder) error {
		sent = kit.Now()
		return nil
	}))
	kit = k
	at := k.Now().Add(40 * 24 * time.Hour)
	run := k.Start("remind", Reminder{Text: "renew", At: at})
	k.RunUntilIdle()
	require.Equal(t, squidmesh.RunCompleted, run.Status())
	require.WithinDuration(t, at, sent, time.Second)
}

type Account struct {
	Name string `json:"name"`
}

type Total struct {
	Cents int `json:"total"`
}

// Books has what an invoice is made of.
type Books struct{ Sent string }

func (b *Books) LoadAccount(context.Context, Order) (Account, error) { return Account{"Ana"}, nil }
func (b *Books) SumUp(_ context.Context, in Order) (Total, error)    { return Total{in.Cents}, nil }

func (b *Books) Send(_ context.Context, in struct {
	Account
	Total
},
) error {
	b.Sent = fmt.Sprint("dear ", in.Name, ", please pay ", in.Cents)
	return nil
}

func Bill(books *Books) squidmesh.Workflow {
	return squidmesh.Workflow{
		Name:     "bill",
		Triggers: []squidmesh.Trigger{squidmesh.Manual("due", squidmesh.Payload[Order]())},
		Steps: []squidmesh.Step{
			{Name: "account", Do: squidmesh.Func(books.LoadAccount)},
			{Name: "total", Do: squidmesh.Func(books.SumUp)},
			{Name: "send", After: []string{"account", "total"}, Do: squidmesh.Effect(books.Send)},
		},
	}
}

func TestPattern_FanOut(t *testing.T) {
	t.Parallel()
	books := &Books{}
	kit := squidmeshtest.New(t, Bill(books))
	kit.Start("bill", Order{ID: "1001", Cents: 4990})
	kit.RunUntilIdle()
	require.Equal(t, "dear Ana, please pay 4990", books.Sent)
}

type Mailing struct {
	ID    string   `json:"id"`
	To    []string `json:"to"`
	Count int      `json:"count"`
}

type Letter struct {
	Mailing string `json:"mailing"`
	To      string `json:"to"`
}

// Mail starts a run for each letter of a mailing, and one more when all of them have been sent.
type Mail struct {
	rt   *squidmesh.Runtime[pgx.Tx]
	Sent chan string
}

// Split is the step of the mailing: the counter and all runs exist afterwards, or none of them.
func (m *Mail) Split(ctx context.Context, tx pgx.Tx, in Mailing) error {
	if _, err := tx.Exec(ctx, `insert into mailing (id, left_over) values ($1, $2)`, in.ID, len(in.To)); err != nil {
		return err
	}
	for _, to := range in.To {
		if _, err := m.rt.StartRunTx(ctx, tx, squidmesh.StartParams{
			Workflow: "letter", Key: in.ID + "/" + to, Payload: Letter{Mailing: in.ID, To: to},
		}); err != nil {
			return err
		}
	}
	return nil
}

// Count is the last step of each letter: the one that comes to zero starts what follows.
func (m *Mail) Count(ctx context.Context, tx pgx.Tx, in Letter) error {
	var left int
	err := tx.QueryRow(ctx, `update mailing set left_over = left_over - 1 where id = $1 returning left_over`, in.Mailing).Scan(&left)
	if err != nil || left > 0 {
		return err
	}
	_, err = m.rt.StartRunTx(ctx, tx, squidmesh.StartParams{Workflow: "report", Key: in.Mailing, Payload: Letter{Mailing: in.Mailing}})
	return err
}

func (m *Mail) Send(_ context.Context, in Letter) error {
	m.Sent <- in.To
	return nil
}

func (m *Mail) Report(_ context.Context, in Letter) error {
	m.Sent <- "report on " + in.Mailing
	close(m.Sent)
	return nil
}

func TestPattern_FanOutByData(t *testing.T) {
	t.Parallel()
	m := &Mail{Sent: make(chan string, 100)}
	letter := oneStep[Letter]("letter", squidmesh.Step{Name: "send", Do: squidmesh.Effect(m.Send), Next: "count"})
	letter.Steps = append(letter.Steps, squidmesh.Step{Name: "count", Do: squidmesh.EffectTx(m.Count)})
	pool, rt := startOnPostgres(t, letter,
		oneStep[Mailing]("mailing", squidmesh.Step{Name: "split", Do: squidmesh.EffectTx(m.Split)}),
		oneStep[Letter]("report", squidmesh.Step{Name: "report", Do: squidmesh.Effect(m.Report)}))
	m.rt = rt
	_, err := pool.Exec(t.Context(), `create table mailing (id text primary key, left_over int)`)
	require.NoError(t, err)
	_, err = rt.StartRun(t.Context(), squidmesh.StartParams{Workflow: "mailing", Payload: Mailing{ID: "spring", To: []string{"ana", "ben", "eva"}}})
	require.NoError(t, err)
	var sent []string
	for s := range m.Sent {
		sent = append(sent, s)
	}
	require.ElementsMatch(t, []string{"ana", "ben", "eva", "report on spring"}, sent)
	require.Equal(t, "report on spring", sent[3])
}

type Document struct {
	ID string `json:"id"`
}

type Verdict struct {
	Clean bool `json:"clean"`
}

// Scanner is a service that takes its time.
type Scanner struct {
	Result func(ctx context.Context, id string) (clean, ready bool, err error)
	Gone   string
}

func (s *Scanner) Poll(ctx context.Context, in Document) (Verdict, error) {
	clean, ready, err := s.Result(ctx, in.ID)
	if err == nil && !ready {
		err = squidmesh.WithCode("scan_pending", errors.New("the scan has not ended"))
	}
	return Verdict{clean}, err
}

func (s *Scanner) GiveUp(ctx context.Context, in Document) error {
	failure, _ := squidmesh.Failure(ctx)
	s.Gone = in.ID + ": " + failure.Code
	return nil
}

func Scan(s *Scanner) squidmesh.Workflow {
	return squidmesh.Workflow{
		Name:     "scan",
		Triggers: []squidmesh.Trigger{squidmesh.Manual("uploaded", squidmesh.Payload[Document]())},
		Steps: []squidmesh.Step{
			{Name: "poll", Do: squidmesh.Func(s.Poll), Retry: squidmesh.Constant(240, 30*time.Second), OnError: "give_up"},
			{Name: "give_up", Do: squidmesh.Effect(s.GiveUp)},
		},
	}
}

func TestPattern_Poll(t *testing.T) {
	t.Parallel()
	polls := 0
	s := &Scanner{Result: func(_ context.Context, id string) (bool, bool, error) {
		polls++
		return true, id == "slow" && polls == 20, nil
	}}
	kit := squidmeshtest.New(t, Scan(s))
	began := kit.Now()
	run := kit.Start("scan", Document{ID: "slow"})
	kit.RunUntilIdle()
	var verdict Verdict
	run.Output("poll", &verdict)
	require.True(t, verdict.Clean)
	require.Equal(t, 19*30*time.Second, kit.Now().Sub(began))

	run = kit.Start("scan", Document{ID: "dead"})
	kit.RunUntilIdle()
	require.Equal(t, squidmesh.RunCompleted, run.Status())
	require.Equal(t, "dead: scan_pending", s.Gone)
}

// Sync copies what happened in a window.
type Sync struct{ From, To []time.Time }

func (s *Sync) Copy(ctx context.Context, _ struct{}) error {
	info, _ := squidmesh.Info(ctx)
	s.From, s.To = append(s.From, info.WindowAt), append(s.To, info.WindowEnd)
	return nil
}

func Quarterly(s *Sync) squidmesh.Workflow {
	return squidmesh.Workflow{
		Name: "sync",
		Triggers: []squidmesh.Trigger{{
			Name: "quarterly", Cron: "*/15 * * * *", TimeZone: "Europe/Berlin",
			Missed: squidmesh.MissedSkip, Overlap: squidmesh.OverlapSkip,
		}},
		Steps: []squidmesh.Step{{Name: "copy", Do: squidmesh.Effect(s.Copy)}},
	}
}

func TestPattern_Cron(t *testing.T) {
	t.Parallel()
	s := &Sync{}
	kit := squidmeshtest.New(t, Quarterly(s))
	kit.Advance(time.Hour)
	require.Len(t, s.From, 4)
	require.Equal(t, s.From[1:], s.To[:3])
}

// Archive copies pages and remembers how far it came.
type Archive struct {
	Next func(ctx context.Context, id string) (page int, more bool, err error)
	Copy func(ctx context.Context, id string, page int) error // the page and the progress, in one transaction of yours
}

func (a *Archive) Export(ctx context.Context, in Document) error {
	for {
		page, more, err := a.Next(ctx, in.ID) // after a restart: the page after the last one that was copied
		if err != nil || !more {
			return err
		}
		if err := a.Copy(ctx, in.ID, page); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx) // the process stops, the run was cancelled, or the time is up
		}
	}
}

func ExportAll(a *Archive) squidmesh.Workflow {
	return squidmesh.Workflow{
		Name:     "export",
		Triggers: []squidmesh.Trigger{squidmesh.Manual("asked", squidmesh.Payload[Document]())},
		Steps: []squidmesh.Step{
			{Name: "export", Do: squidmesh.Effect(a.Export), Timeout: 6 * time.Hour, Queue: "exports", Retry: squidmesh.Constant(5, time.Minute)},
		},
	}
}

func TestPattern_LongStep(t *testing.T) {
	t.Parallel()
	var copied []int
	a := &Archive{
		Next: func(context.Context, string) (int, bool, error) { return len(copied), len(copied) < 5, nil },
		Copy: func(_ context.Context, _ string, page int) error {
			if page == 3 && copied[len(copied)-1] == 2 {
				copied = append(copied, page)
				return errors.New("connection reset")
			}
			copied = append(copied, page)
			return nil
		},
	}
	kit := squidmeshtest.New(t, ExportAll(a))
	run := kit.Start("export", Document{ID: "2025"})
	kit.RunUntilIdle()
	require.Equal(t, squidmesh.RunCompleted, run.Status())
	require.Equal(t, []int{0, 1, 2, 3, 4}, copied)
}

// Blobs is a store for what is too large for a database.
type Blobs struct{ Files map[string]string }

func (b *Blobs) Put(_ context.Context, key, content string) error {
	b.Files[key] = content
	return nil
}

type Report struct {
	Key string `json:"report_key"`
}

// Render puts the report where an attempt before has put it, and returns where.
func (b *Blobs) Render(ctx context.Context, in Document) (Report, error) {
	key := "reports/" + squidmesh.IdempotencyKey(ctx) + ".pdf"
	return Report{Key: key}, b.Put(ctx, key, strings.Repeat(in.ID, 1<<20))
}

func TestPattern_Reference(t *testing.T) {
	t.Parallel()
	b := &Blobs{Files: map[string]string{}}
	kit := squidmeshtest.New(t, oneStep[Document]("render", squidmesh.Step{Name: "render", Do: squidmesh.Func(b.Render), Retry: squidmesh.Constant(3, 0)}))
	kit.On("render").Attempt(1).FailAfter(errors.New("no answer"))
	run := kit.Start("render", Document{ID: "x"})
	kit.RunUntilIdle()
	var report Report
	run.Output("render", &report)
	require.Len(t, b.Files, 1)
	require.Len(t, b.Files[report.Key], 1<<20)
}
