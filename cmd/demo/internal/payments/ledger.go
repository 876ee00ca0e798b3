package payments

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// entry is one line of the ledger: a request that was answered for good, or a fault that was answered instead.
type entry struct {
	Seq    int             `json:"seq"`
	At     int64           `json:"at"` // milliseconds since 1970
	Op     string          `json:"op"`
	Key    string          `json:"key,omitempty"`  // of idempotency
	Hash   string          `json:"hash,omitempty"` // of the request under that key
	Status int             `json:"status"`
	Answer json.RawMessage `json:"answer"`

	// What the entry changed, as it is now.
	Intent *Intent `json:"intent,omitempty"`
	Refund *Refund `json:"refund,omitempty"`
	Card   *card   `json:"card,omitempty"`
}

// card is a saved card, of which the ledger keeps no number, and nothing that a number could be found from.
type card struct {
	Method  string  `json:"method"`
	Brand   string  `json:"brand"`
	Last4   string  `json:"last4"`
	Outcome outcome `json:"outcome,omitzero"`
}

// The operations in a ledger.
const (
	opMethod    = "payment_method"
	opAuthorize = "authorize"
	opCapture   = "capture"
	opCancel    = "cancel"
	opRefund    = "refund"
	opFault     = "fault"
)

// Ledger is everything that the provider did: a file of JSON lines that is only appended to, and synced before anyone is told.
type Ledger struct {
	mu   sync.Mutex
	file *os.File
	book Book
}

// Book is what the lines of a ledger add up to.
type Book struct {
	Intents  map[string]Intent
	Refunds  map[string]Refund
	Captures map[string]int // successful captures by intent

	cards   map[string]outcome // by method
	answers map[string]entry   // by idempotency key
	faults  map[string]int     // answered so far, by idempotency key
	seq     int
}

func newBook() Book {
	return Book{
		Intents: map[string]Intent{}, Refunds: map[string]Refund{}, Captures: map[string]int{},
		cards: map[string]outcome{}, answers: map[string]entry{}, faults: map[string]int{},
	}
}

// add accounts for one line.
func (b *Book) add(e entry) {
	b.seq = e.Seq
	if e.Op == opFault {
		b.faults[e.Key]++
		return
	}
	if e.Key != "" {
		b.answers[e.Key] = e
	}
	if e.Card != nil {
		b.cards[e.Card.Method] = e.Card.Outcome
	}
	if e.Intent != nil {
		b.Intents[e.Intent.ID] = *e.Intent
	}
	if e.Refund != nil {
		b.Refunds[e.Refund.ID] = *e.Refund
	}
	if e.Op == opCapture && e.Status < 300 {
		b.Captures[e.Intent.ID]++
	}
}

// OpenLedger opens or creates the ledger at path. A last line that was cut off by a crash was never answered, and is dropped.
func OpenLedger(path string) (*Ledger, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	book, whole, err := read(f)
	if err == nil {
		err = f.Truncate(whole)
	}
	if err == nil {
		_, err = f.Seek(whole, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open ledger %s: %w", path, err), f.Close())
	}
	return &Ledger{file: f, book: book}, nil
}

// ReadLedger adds up the ledger at path without touching it, as an auditor would.
func ReadLedger(path string) (Book, error) {
	f, err := os.Open(path)
	if err != nil {
		return Book{}, fmt.Errorf("read ledger: %w", err)
	}
	defer func() { _ = f.Close() }()
	book, _, err := read(f)
	if err != nil {
		return Book{}, fmt.Errorf("read ledger %s: %w", path, err)
	}
	return book, nil
}

// read adds up whole lines and says where the last one ends.
func read(r io.Reader) (book Book, whole int64, err error) {
	book = newBook()
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return book, whole, nil
		}
		if err != nil {
			return book, whole, err
		}
		var e entry
		if err := json.Unmarshal(bytes.TrimSpace(line), &e); err != nil {
			return book, whole, fmt.Errorf("entry %d: %w", book.seq+1, err)
		}
		whole += int64(len(line))
		book.add(e)
	}
}

// append writes an entry to disk and accounts for it. The caller holds the lock.
func (l *Ledger) append(e entry) error {
	e.Seq = l.book.seq + 1
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode ledger entry: %w", err)
	}
	if _, err := l.file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("write ledger: %w", err)
	}
	if err := l.file.Sync(); err != nil {
		return fmt.Errorf("sync ledger: %w", err)
	}
	l.book.add(e)
	return nil
}

// Close closes the file.
func (l *Ledger) Close() error { return l.file.Close() }
