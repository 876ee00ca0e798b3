package payments

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// provider is a server on a ledger of its own, which can be stopped and started again.
type provider struct {
	*testing.T
	*Client
	config ServerConfig
	server *Server
}

func setup(t *testing.T) *provider {
	t.Helper()
	p := &provider{T: t, config: ServerConfig{Path: filepath.Join(t.TempDir(), "ledger.jsonl"), RetryAfter: 7 * time.Second}}
	p.start()
	t.Cleanup(func() { _ = p.server.Close() })
	return p
}

func (p *provider) start() {
	p.Helper()
	server, err := Start(p.config)
	require.NoError(p, err)
	p.server, p.Client = server, NewClient(server.URL(), 10*time.Second)
}

// restart is what a crash of the process and a new start come to: the ledger is all that is left.
func (p *provider) restart() {
	p.Helper()
	require.NoError(p, p.server.Close())
	p.start()
}

// method saves a card.
func (p *provider) method(number string) string {
	p.Helper()
	m, err := p.SaveCard(p.Context(), "card "+number, number)
	require.NoError(p, err)
	require.Equal(p, number[len(number)-4:], m.Card.Last4)
	return m.ID
}

// authorized is an intent that awaits its capture.
func (p *provider) authorized(key, number string, meta map[string]string) Intent {
	p.Helper()
	in, err := p.Authorize(p.Context(), key, 9_947, p.method(number), meta)
	require.NoError(p, err)
	require.Equal(p, RequiresCapture, in.Status)
	return in
}

// refused is the provider's answer in an error.
func (p *provider) refused(err error, status int, code string) *Error {
	p.Helper()
	require.Error(p, err)
	e, ok := AsError(err)
	require.True(p, ok, err)
	require.Equal(p, status, e.Status, err)
	require.Equal(p, code, e.Code, err)
	return e
}

const visa = "4242424242424242"

func TestServer_PaymentFromAuthorizationToRefund(t *testing.T) {
	t.Parallel()
	p := setup(t)
	in := p.authorized("a", visa, nil)
	in, err := p.Capture(t.Context(), "c", in.ID)
	require.NoError(t, err)
	require.Equal(t, Succeeded, in.Status)
	require.Equal(t, int64(9_947), in.Received)

	r, err := p.Refund(t.Context(), "r1", in.ID, 9_000)
	require.NoError(t, err)
	require.Equal(t, "succeeded", r.Status)
	_, err = p.Refund(t.Context(), "r2", in.ID, 948)
	p.refused(err, http.StatusBadRequest, "amount_too_large")
	_, err = p.Refund(t.Context(), "r3", in.ID, 947)
	require.NoError(t, err)
	_, err = p.Refund(t.Context(), "r4", in.ID, 0)
	p.refused(err, http.StatusBadRequest, "parameter_invalid_integer")

	_, err = p.Cancel(t.Context(), "v", in.ID)
	e := p.refused(err, http.StatusBadRequest, CodeUnexpectedState)
	require.Equal(t, e.Intent.Received, e.Intent.Refunded)
}

func TestServer_VoidsAnAuthorization(t *testing.T) {
	t.Parallel()
	p := setup(t)
	in := p.authorized("a", visa, nil)
	for _, key := range []string{"v", "v", "another"} {
		in, err := p.Cancel(t.Context(), key, in.ID)
		require.NoError(t, err)
		require.Equal(t, Canceled, in.Status)
	}
	_, err := p.Capture(t.Context(), "c", in.ID)
	p.refused(err, http.StatusBadRequest, CodeUnexpectedState)
	_, err = p.Capture(t.Context(), "c2", "pi_unheard_of")
	p.refused(err, http.StatusNotFound, "resource_missing")
}

func TestServer_DeclinesByCard(t *testing.T) {
	t.Parallel()
	p := setup(t)
	for number, card := range testCards {
		if card.code == "" || card.atCapture {
			continue
		}
		_, err := p.Authorize(t.Context(), "a"+number, 100, p.method(number), nil)
		require.Equal(t, card.decline, p.refused(err, http.StatusPaymentRequired, card.code).Decline)
	}
	in := p.authorized("late", "4000000000000341", nil)
	_, err := p.Capture(t.Context(), "c", in.ID)
	p.refused(err, http.StatusPaymentRequired, "card_declined")
	_, err = p.Cancel(t.Context(), "v", in.ID)
	require.NoError(t, err)
}

func TestServer_SameKeyHappensOnce(t *testing.T) {
	t.Parallel()
	p := setup(t)
	in := p.authorized("a", visa, nil)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			got, err := p.Capture(t.Context(), "c", in.ID)
			if err != nil || got.Received != in.Amount {
				t.Errorf("capture under the same key: %+v, %v", got, err)
			}
		})
	}
	wg.Wait()
	require.Equal(t, in, p.authorized("a", visa, nil))

	// A decline is an answer too.
	_, err := p.Authorize(t.Context(), "d", 100, p.method("4000000000000002"), nil)
	first := p.refused(err, http.StatusPaymentRequired, "card_declined")
	_, err = p.Authorize(t.Context(), "d", 100, p.method("4000000000000002"), nil)
	require.Equal(t, first, p.refused(err, http.StatusPaymentRequired, "card_declined"))

	_, err = p.Authorize(t.Context(), "a", 1, in.Method, nil)
	p.refused(err, http.StatusUnprocessableEntity, "idempotency_key_in_use")
	_, err = p.Cancel(t.Context(), "a", in.ID)
	p.refused(err, http.StatusUnprocessableEntity, "idempotency_key_in_use")

	book, err := ReadLedger(p.config.Path)
	require.NoError(t, err)
	require.Equal(t, map[string]int{in.ID: 1}, book.Captures)
}

func TestServer_RemembersAcrossRestarts(t *testing.T) {
	t.Parallel()
	p := setup(t)
	in := p.authorized("a", visa, map[string]string{"order": "order-1"})
	done, err := p.Capture(t.Context(), "c", in.ID)
	require.NoError(t, err)

	p.restart()
	require.Equal(t, in, p.authorized("a", visa, map[string]string{"order": "order-1"}))
	again, err := p.Capture(t.Context(), "c", in.ID)
	require.NoError(t, err)
	require.Equal(t, done, again)
	_, err = p.Capture(t.Context(), "another", in.ID)
	p.refused(err, http.StatusBadRequest, CodeUnexpectedState)
}

func TestServer_DropsALineThatWasCutOff(t *testing.T) {
	t.Parallel()
	p := setup(t)
	in := p.authorized("a", visa, nil)
	require.NoError(t, p.server.Close())
	whole, err := os.ReadFile(p.config.Path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(p.config.Path, append(whole, `{"seq":99,"op":"capt`...), 0o600))

	p.start()
	_, err = p.Capture(t.Context(), "c", in.ID)
	require.NoError(t, err)
	book, err := ReadLedger(p.config.Path)
	require.NoError(t, err)
	require.Equal(t, Succeeded, book.Intents[in.ID].Status)
}

func TestServer_RefusesALedgerThatIsNone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.jsonl")
	require.NoError(t, os.WriteFile(path, []byte("hello\n"), 0o600))
	_, err := Start(ServerConfig{Path: path})
	require.ErrorContains(t, err, "entry 1")
}

func TestServer_MisbehavesAsTold(t *testing.T) {
	t.Parallel()
	p := setup(t)

	limited := map[string]string{MetadataSandbox: RateLimited}
	_, err := p.Authorize(t.Context(), "limited", 9_947, p.method(visa), limited)
	require.Equal(t, 7*time.Second, p.refused(err, http.StatusTooManyRequests, "").RetryAfter)
	p.restart() // it has not forgotten that it was rude already
	p.authorized("limited", visa, limited)

	out := map[string]string{MetadataSandbox: Outage}
	_, err = p.Authorize(t.Context(), "out", 9_947, p.method(visa), out)
	p.refused(err, http.StatusInternalServerError, "")
	_, err = p.Authorize(t.Context(), "out", 9_947, p.method(visa), out)
	p.refused(err, http.StatusServiceUnavailable, "")
	p.authorized("out", visa, out)

	in := p.authorized("lost", visa, map[string]string{MetadataSandbox: LostCapture})
	_, err = p.Capture(t.Context(), "c", in.ID)
	require.Error(t, err)
	_, answered := AsError(err)
	require.False(t, answered)
	in, err = p.Capture(t.Context(), "c", in.ID)
	require.NoError(t, err)
	require.Equal(t, Succeeded, in.Status)
}

func TestServer_SlowCaptureIsDoneBeforeItIsAnswered(t *testing.T) {
	t.Parallel()
	p := setup(t)
	p.config.Slow = time.Hour
	p.restart()
	in := p.authorized("a", visa, map[string]string{MetadataSandbox: SlowCapture})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	client, answered := NewClient(p.server.URL(), time.Hour), make(chan error, 1)
	go func() {
		_, err := client.Capture(ctx, "c", in.ID)
		answered <- err
	}()
	require.Eventually(t, func() bool {
		book, err := ReadLedger(p.config.Path)
		return err == nil && book.Captures[in.ID] == 1
	}, time.Minute, time.Millisecond)
	p.authorized("b", visa, nil) // meanwhile the answer would have come
	cancel()
	require.ErrorIs(t, <-answered, context.Canceled)
	p.restart()
	in, err := p.Capture(t.Context(), "c", in.ID)
	require.NoError(t, err)
	require.Equal(t, Succeeded, in.Status)
}

func TestServer_RefundsSettleLater(t *testing.T) {
	t.Parallel()
	now := time.Now()
	p := setup(t)
	p.config.Settle = time.Minute
	p.config.Now = func() time.Time { return now }
	p.restart()
	for number, want := range map[string][2]string{
		visa:               {"succeeded", "succeeded"},
		"4000000000007726": {"pending", "succeeded"},
		"4000000000005126": {"succeeded", "failed"},
	} {
		in := p.authorized("a"+number, number, nil)
		_, err := p.Capture(t.Context(), "c"+number, in.ID)
		require.NoError(t, err)
		r, err := p.Refund(t.Context(), "r"+number, in.ID, in.Amount)
		require.NoError(t, err)
		require.Equal(t, want[0], r.Status)

		now = now.Add(time.Minute)
		r, err = p.GetRefund(t.Context(), r.ID)
		require.NoError(t, err)
		require.Equal(t, want[1], r.Status)
	}
}
