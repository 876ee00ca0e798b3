package payments

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
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
		if card.Code == "" || card.AtCapture {
			continue
		}
		_, err := p.Authorize(t.Context(), "a"+number, 100, p.method(number), nil)
		require.Equal(t, card.Decline, p.refused(err, http.StatusPaymentRequired, card.Code).Decline)
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

	// What a card does is remembered, although its number is not.
	bad, late := p.method("4000000000000002"), p.authorized("late", "4000000000000341", nil)
	p.restart()
	_, err = p.Authorize(t.Context(), "bad", 100, bad, nil)
	p.refused(err, http.StatusPaymentRequired, "card_declined")
	_, err = p.Capture(t.Context(), "late capture", late.ID)
	p.refused(err, http.StatusPaymentRequired, "card_declined")
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

func TestServer_AnswersNoWebPage(t *testing.T) {
	t.Parallel()
	p := setup(t)
	own := p.server.listen.Addr().String()
	_, port, err := net.SplitHostPort(own)
	require.NoError(t, err)
	for _, c := range []struct {
		name, method, host string
		header             map[string]string
		want               int
	}{
		{"a program", http.MethodPost, own, nil, http.StatusOK},
		{"with a charset", http.MethodPost, own, map[string]string{"Content-Type": formType + "; charset=utf-8"}, http.StatusOK},
		{"its own origin", http.MethodPost, own, map[string]string{"Origin": "http://" + own}, http.StatusOK},
		{"another page", http.MethodPost, own, map[string]string{"Origin": "https://evil.example"}, http.StatusForbidden},
		{"a file", http.MethodPost, own, map[string]string{"Origin": "null"}, http.StatusForbidden},
		{"another port", http.MethodPost, own, map[string]string{"Origin": "http://127.0.0.1:1"}, http.StatusForbidden},
		{"another site", http.MethodPost, own, map[string]string{"Sec-Fetch-Site": "cross-site"}, http.StatusForbidden},
		{"another name", http.MethodPost, "evil.example:" + port, nil, http.StatusMisdirectedRequest},
		{"another name's own page", http.MethodPost, "evil.example", map[string]string{"Origin": "http://evil.example"}, http.StatusMisdirectedRequest},
		{"another name that reads", http.MethodGet, "evil.example:" + port, nil, http.StatusMisdirectedRequest},
		{"another port's name", http.MethodGet, "127.0.0.1", nil, http.StatusMisdirectedRequest},
		{"text", http.MethodPost, own, map[string]string{"Content-Type": "text/plain"}, http.StatusUnsupportedMediaType},
		{"multipart", http.MethodPost, own, map[string]string{"Content-Type": "multipart/form-data; boundary=x"}, http.StatusUnsupportedMediaType},
		{"JSON", http.MethodPost, own, map[string]string{"Content-Type": "application/json"}, http.StatusUnsupportedMediaType},
		{"no type", http.MethodPost, own, map[string]string{"Content-Type": ""}, http.StatusUnsupportedMediaType},
	} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, p.server.URL()+"/v1/payment_methods", strings.NewReader("card[number]="+visa))
		require.NoError(t, err)
		req.Host = c.host
		req.Header.Set("Content-Type", formType)
		for k, v := range c.header {
			req.Header.Set(k, v)
		}
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err, c.name)
		require.Equal(t, c.want, res.StatusCode, c.name)
		var said struct {
			Error *Error `json:"error"`
		}
		require.NoError(t, json.NewDecoder(res.Body).Decode(&said), c.name)
		require.NoError(t, res.Body.Close())
		require.Equal(t, c.want == http.StatusOK, said.Error == nil, c.name)
	}
	book, err := ReadLedger(p.config.Path)
	require.NoError(t, err)
	require.Equal(t, 3, book.seq) // those that were answered, and no other
}

// Two cards that end alike leave the same ledger, byte for byte: no number can be found from it, not by trying either.
func TestLedger_KeepsNoCardNumber(t *testing.T) {
	t.Parallel()
	kept := func(number string) string {
		p := setup(t)
		require.NoError(t, p.server.Close())
		p.config.Now = func() time.Time { return time.UnixMilli(1) }
		p.start()
		m, err := p.SaveCard(t.Context(), "c", number)
		require.NoError(t, err)
		_, err = p.Authorize(t.Context(), "a", 100, m.ID, nil)
		require.NoError(t, err)
		_, err = p.SaveCard(t.Context(), "c", "4242424242424259")
		p.refused(err, http.StatusUnprocessableEntity, "idempotency_key_in_use")
		ledger, err := os.ReadFile(p.config.Path)
		require.NoError(t, err)
		require.NotContains(t, string(ledger), number[:12])
		require.Contains(t, string(ledger), `"last4":"4242"`)
		return string(ledger)
	}
	require.Equal(t, kept(visa), kept("4111 1111 1234 4242"))
}
