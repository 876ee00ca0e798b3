// Package wirecut is a proxy in front of PostgreSQL that breaks connections on either side of a COMMIT, or anywhere. Tests only.
package wirecut

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"net"
	"strings"
	"sync"
	"sync/atomic"
)

// Cut is where a connection breaks.
type Cut int32

// The cuts.
const (
	None   Cut = iota
	Before     // the COMMIT never reaches the server
	After      // the server has committed, the client never hears of it
	During     // the client is cut off while the server is at work on the COMMIT
)

// Proxy stands between the processes and PostgreSQL and understands just enough of the protocol to break a connection on either
// side of a COMMIT.
type Proxy struct {
	listener net.Listener
	target   atomic.Value // host:port

	armed atomic.Int32 // the cut that the next COMMIT suffers
	away  atomic.Bool  // nobody gets through
	cuts  atomic.Int64 // that were made
	hush  atomic.Int64 // connections that were silenced

	mu    sync.Mutex
	links map[*link]bool
}

// link is a connection and its other half.
type link struct {
	client, server net.Conn
	swallow        atomic.Bool // what the server says next is the answer to a COMMIT that nobody is to hear
	noQuestions    atomic.Bool // what the client says is lost, and nobody is told
	noAnswers      atomic.Bool // what the server says is lost, and nobody is told
	severed        atomic.Bool // the client's host gets no acknowledgement any more, and cannot be heard to leave
	idle           atomic.Bool // the server waits for a question, outside any transaction
	deaf           atomic.Bool // the client has gone, and the server is to be left at work
}

// New listens on a free port of this host and passes connections on to target, host:port.
func New(target string) (*Proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{listener: listener, links: map[*link]bool{}}
	p.target.Store(target)
	go p.accept()
	return p, nil
}

// Address is where the proxy listens, host:port.
func (p *Proxy) Address() string { return p.listener.Addr().String() }

// Point has new connections passed on to another server, host:port, which those that are there do not notice.
func (p *Proxy) Point(target string) { p.target.Store(target) }

// Arm makes the next COMMIT suffer a cut; None disarms.
func (p *Proxy) Arm(c Cut) { p.armed.Store(int32(c)) }

// Cuts is how many COMMITs were cut.
func (p *Proxy) Cuts() int64 { return p.cuts.Load() }

// Drop cuts up to n connections, wherever they are.
func (p *Proxy) Drop(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		if n--; n < 0 {
			return
		}
		l.close()
	}
}

// Close ends the listening and the connections that were silenced: their clients may wait for an answer for ever, and the server, which waits
// for a question, keeps its locks meanwhile. Other connections end with their clients.
func (p *Proxy) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		if l.noQuestions.Load() || l.noAnswers.Load() {
			l.close()
		}
	}
	return p.listener.Close()
}

// Away makes it look as if the server were away: connections break, and so do new ones, until it is said to be back.
func (p *Proxy) Away(away bool) {
	p.away.Store(away)
	if away {
		p.Drop(math.MaxInt)
	}
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		go p.serve(client)
	}
}

func (p *Proxy) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.target.Load().(string))
	if err != nil {
		return // the server is away, which the client notices
	}
	defer server.Close()
	l := &link{client: client, server: server}
	p.mu.Lock()
	p.links[l] = true
	p.mu.Unlock()
	if p.away.Load() { // asked behind the listing, so that either this or the drop sees the other
		l.close()
	}
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.links, l)
	}()

	answered := make(chan struct{})
	go func() {
		defer close(answered)
		p.answers(l)
	}()
	p.questions(l)
	if !l.deaf.Load() {
		l.close()
	}
	<-answered
}

func (l *link) close() {
	l.client.Close()
	l.server.Close()
}

// questions passes on what the client says, message by message.
func (p *Proxy) questions(l *link) {
	from, to := bufio.NewReaderSize(l.client, 64<<10), bufio.NewWriterSize(l.server, 64<<10)
	commits := commits{}
	last := false // what the client says ends with the request that has the COMMIT
	for startup := true; ; startup = false {
		kind, body, err := readMessage(from, startup)
		if err != nil || startup && isCancel(body) {
			return
		}
		l.idle.Store(false)
		if l.noQuestions.Load() {
			continue
		}
		if commits.is(kind, body) {
			switch Cut(p.armed.Swap(int32(None))) {
			case Before:
				p.cuts.Add(1)
				return
			case After:
				l.swallow.Store(true)
			case During:
				l.swallow.Store(true)
				last = true
			}
		}
		if _, err := to.Write(body); err != nil {
			return
		}
		if (last || from.Buffered() == 0) && to.Flush() != nil {
			return
		}
		if last && (kind == 'Q' || kind == 'S') { // the server has all of it; that nobody listens it does not notice
			p.cuts.Add(1)
			l.deaf.Store(true)
			l.client.Close()
			return
		}
	}
}

// maxMessage bounds what the proxy takes for a message.
const maxMessage = 64 << 20

// readMessage reads one message with its head: a byte that says what it is, except in front of the first one, and four of length.
func readMessage(r *bufio.Reader, startup bool) (kind byte, body []byte, err error) {
	head := 5
	if startup {
		head = 4
	}
	start, err := r.Peek(head)
	if err != nil {
		return 0, nil, err
	}
	length := int(binary.BigEndian.Uint32(start[head-4:])) + head - 4
	if length < head || length > maxMessage {
		return 0, nil, fmt.Errorf("message of %d bytes", length)
	}
	if !startup {
		kind = start[0]
	}
	body = make([]byte, length)
	_, err = io.ReadFull(r, body)
	return kind, body, err
}

// isCancel recognises a connection that only asks for another one's statement to be cancelled. pgx makes one when it loses a
// connection; it gets lost as well, as it would when the network is gone.
func isCancel(startup []byte) bool {
	return len(startup) == 16 && binary.BigEndian.Uint32(startup[4:]) == 80877102
}

// commits recognises a COMMIT, as text or by the name under which it was prepared.
type commits map[string]bool

func (c commits) is(kind byte, message []byte) bool {
	switch kind {
	case 'Q': // text
		return isCommit(message[5:])
	case 'P': // a name, text
		name, text, _ := bytes.Cut(message[5:], []byte{0})
		text, _, _ = bytes.Cut(text, []byte{0})
		c[string(name)] = isCommit(text)
	case 'B': // a portal, a name
		_, rest, _ := bytes.Cut(message[5:], []byte{0})
		name, _, _ := bytes.Cut(rest, []byte{0})
		return c[string(name)]
	}
	return false
}

func isCommit(text []byte) bool {
	return strings.EqualFold(strings.Trim(string(text), "\x00; \n"), "commit")
}

// answers passes on what the server says. It says that a transaction is complete after it has committed; what it says before that
// in the same breath is lost with it.
func (p *Proxy) answers(l *link) {
	defer func() {
		if !l.severed.Load() {
			l.close()
		}
	}()
	from, to := bufio.NewReaderSize(l.server, 64<<10), bufio.NewWriterSize(l.client, 64<<10)
	for {
		kind, body, err := readMessage(from, false)
		if err != nil {
			return
		}
		if l.noAnswers.Load() {
			continue
		}
		l.idle.Store(kind == 'Z' && body[5] == 'I')
		if l.swallow.Load() {
			if kind == 'E' || kind == 'Z' || kind == 'C' && isCommit(body[5:]) {
				if !l.deaf.Load() {
					p.cuts.Add(1)
				}
				return
			}
			continue
		}
		if _, err := to.Write(body); err != nil {
			return
		}
		if from.Buffered() == 0 && to.Flush() != nil {
			return
		}
	}
}
