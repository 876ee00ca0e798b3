package payments

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// ServerConfig is what a [Server] is made of.
type ServerConfig struct {
	// Path is the ledger's file. Required.
	Path string

	// RetryAfter is what 429 asks for, in whole seconds. Defaults to 1 s.
	RetryAfter time.Duration

	// Slow is how late a slow answer comes. Defaults to 1 s.
	Slow time.Duration

	// Settle is how long refunds take that do not settle at once. Defaults to 1 s.
	Settle time.Duration

	// Now defaults to time.Now.
	Now func() time.Time
}

// Server is the provider. Its methods are safe for concurrent use.
type Server struct {
	config ServerConfig
	ledger *Ledger
	http   *http.Server
	listen net.Listener
	stop   context.CancelFunc
	done   chan struct{}
}

// Start opens the ledger and serves on a free port of the local machine.
func Start(config ServerConfig) (*Server, error) {
	config.RetryAfter = defaulted(config.RetryAfter, time.Second)
	config.Slow = defaulted(config.Slow, time.Second)
	config.Settle = defaulted(config.Settle, time.Second)
	if config.Now == nil {
		config.Now = time.Now
	}
	ledger, err := OpenLedger(config.Path)
	if err != nil {
		return nil, err
	}
	listen, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen for payments: %w", err), ledger.Close())
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Server{config: config, ledger: ledger, listen: listen, stop: stop, done: make(chan struct{})}
	s.http = &http.Server{
		Handler: s.guard(s.routes()), ReadHeaderTimeout: 5 * time.Second,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	go func() {
		defer close(s.done)
		_ = s.http.Serve(listen)
	}()
	return s, nil
}

func defaulted(d, or time.Duration) time.Duration {
	if d == 0 {
		return or
	}
	return d
}

// URL is where the server listens.
func (s *Server) URL() string { return "http://" + s.listen.Addr().String() }

// Close stops serving and closes the ledger. Answers that are being held back are not sent any more.
func (s *Server) Close() error {
	s.stop()
	err := s.http.Close()
	<-s.done
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	return errors.Join(err, s.ledger.Close())
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/payment_methods", s.post(opMethod, s.saveCard))
	mux.HandleFunc("POST /v1/payment_intents", s.post(opAuthorize, s.authorize))
	mux.HandleFunc("POST /v1/payment_intents/{id}/capture", s.post(opCapture, s.capture))
	mux.HandleFunc("POST /v1/payment_intents/{id}/cancel", s.post(opCancel, s.cancel))
	mux.HandleFunc("POST /v1/refunds", s.post(opRefund, s.refund))
	mux.HandleFunc("GET /v1/payment_intents/{id}", s.getIntent)
	mux.HandleFunc("GET /v1/refunds/{id}", s.getRefund)
	return mux
}

// formType is what the requests that change something are written in.
const formType = "application/x-www-form-urlencoded"

// guard keeps web pages out, which a browser on this machine may have open: they could send forms here, or come under a name of
// their own that leads here.
func (s *Server) guard(next http.Handler) http.Handler {
	own := s.listen.Addr().String()
	origins := http.NewCrossOriginProtection()
	origins.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answer(w, nil, invalid(http.StatusForbidden, "", "Requests from web pages are not answered."))
	}))
	next = origins.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != own {
			answer(w, nil, invalid(http.StatusMisdirectedRequest, "", "This is %s, not %q.", own, r.Host))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// call is a request being worked on.
type call struct {
	path url.Values // {id}
	form url.Values
	key  string
	seed string // what new ids are made of
}

// operation does a request on the book and returns what is to be written. An *Error is an answer too; only those of cards are
// kept under the idempotency key, since the others have done nothing.
type operation func(b *Book, c call) (entry, any, *Error)

// post answers a request: from the ledger if its idempotency key is known there, else by doing it.
func (s *Server) post(op string, do operation) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != formType {
			answer(w, nil, invalid(http.StatusUnsupportedMediaType, "", "The body must be %s.", formType))
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
		if err := r.ParseForm(); err != nil {
			answer(w, nil, invalid(http.StatusBadRequest, "", "The body is no form: %v", err))
			return
		}
		key := r.Header.Get("Idempotency-Key")
		if len(key) > 255 {
			answer(w, nil, invalid(http.StatusBadRequest, "", "Idempotency-Key is longer than 255 characters."))
			return
		}
		hash := fingerprint(r.URL.Path, r.PostForm)
		c := call{path: url.Values{"id": {r.PathValue("id")}}, form: r.PostForm, key: key}

		e, failure, err := s.perform(op, hash, c, do)
		if err != nil {
			answer(w, nil, &Error{Status: http.StatusInternalServerError, Type: "api_error", Message: err.Error()})
			return
		}
		if failure != nil {
			answer(w, nil, failure)
			return
		}
		if e.replayed {
			w.Header().Set("Idempotent-Replayed", "true")
		} else if !s.late(r.Context(), w, op, e.entry) {
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(e.Status)
		_, _ = w.Write(e.Answer)
	}
}

type performed struct {
	entry
	replayed bool
}

// perform does one request at a time. What it returns is on disk.
func (s *Server) perform(op, hash string, c call, do operation) (performed, *Error, error) {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	book := &s.ledger.book

	if c.key != "" {
		if old, ok := book.answers[c.key]; ok {
			if old.Hash != hash {
				return performed{}, &Error{
					Status: http.StatusUnprocessableEntity, Type: "idempotency_error", Code: "idempotency_key_in_use",
					Message: "Keys for idempotent requests can only be used with the parameters they were first used with.",
				}, nil
			}
			return performed{old, true}, nil, nil
		}
	}
	at := s.config.Now().UnixMilli()
	if fault := before(c.form.Get("metadata["+MetadataSandbox+"]"), op, book.faults[c.key], s.config.RetryAfter); fault != nil {
		body, _ := json.Marshal(fault)
		return performed{}, fault, s.ledger.append(entry{At: at, Op: opFault, Key: c.key, Status: fault.Status, Answer: body})
	}
	c.seed = c.key
	if c.seed == "" {
		c.seed = strconv.Itoa(book.seq)
	}
	e, object, failure := do(book, c)
	e.At, e.Op, e.Key, e.Hash, e.Status = at, op, c.key, hash, http.StatusOK
	if failure != nil {
		if failure.Status != http.StatusPaymentRequired {
			return performed{}, failure, nil
		}
		object, e.Status = map[string]any{"error": failure}, failure.Status
	}
	body, err := json.Marshal(object)
	if err != nil {
		return performed{}, nil, fmt.Errorf("encode answer: %w", err)
	}
	e.Answer = body
	return performed{entry: e}, nil, s.ledger.append(e)
}

// late holds an answer back, or swallows it, where the sandbox is told so. It reports whether to answer.
func (s *Server) late(ctx context.Context, w http.ResponseWriter, op string, e entry) bool {
	if op != opCapture || e.Intent == nil {
		return true
	}
	switch e.Intent.Metadata[MetadataSandbox] {
	case SlowCapture:
		timer := time.NewTimer(s.config.Slow)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return false
		}
	case LostCapture:
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return true
		}
		// Begun, so that the client's transport does not quietly ask again.
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 512\r\n\r\n{")
		_ = conn.Close()
		return false
	}
	return true
}

// answer sends an object, or an error in its envelope.
func answer(w http.ResponseWriter, object any, failure *Error) {
	status := http.StatusOK
	if failure != nil {
		object, status = map[string]any{"error": failure}, failure.Status
		if failure.RetryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(max(1, int(failure.RetryAfter.Seconds()))))
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(object)
}

// fingerprint tells requests apart: Encode sorts. It is kept, so a card number enters it by its last digits: the others could be
// found by trying.
func fingerprint(path string, form url.Values) string {
	if form.Has(cardNumber) {
		form = maps.Clone(form)
		form.Set(cardNumber, lastFour(digits(form.Get(cardNumber))))
	}
	sum := sha256.Sum256([]byte(path + "?" + form.Encode()))
	return hex.EncodeToString(sum[:8])
}

func invalid(status int, code, format string, args ...any) *Error {
	return &Error{Status: status, Type: "invalid_request_error", Code: code, Message: fmt.Sprintf(format, args...)}
}
