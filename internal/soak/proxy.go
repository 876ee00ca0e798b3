package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
)

// cut is where a connection breaks.
type cut int32

const (
	cutNone   cut = iota
	cutBefore     // the COMMIT never reaches the server
	cutAfter      // the server has committed, the client never hears of it
)

// proxy stands between the processes and PostgreSQL and understands just enough of the protocol to break a connection on either
// side of a COMMIT.
type proxy struct {
	listener net.Listener
	target   string

	armed atomic.Int32 // the cut that the next COMMIT suffers
	cuts  atomic.Int64 // that were made

	mu    sync.Mutex
	links map[*link]bool
}

// link is a connection and its other half.
type link struct {
	client, server net.Conn
	swallow        atomic.Bool // what the server says next is the answer to a COMMIT that nobody is to hear
}

func newProxy(target string) (*proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{listener: listener, target: target, links: map[*link]bool{}}
	go p.accept()
	return p, nil
}

func (p *proxy) address() string { return p.listener.Addr().String() }

// arm makes the next COMMIT suffer a cut; none disarms.
func (p *proxy) arm(c cut) { p.armed.Store(int32(c)) }

// drop cuts up to n connections, wherever they are.
func (p *proxy) drop(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		if n--; n < 0 {
			return
		}
		l.close()
	}
}

func (p *proxy) close() error { return p.listener.Close() }

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		go p.serve(client)
	}
}

func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return // the server is away, which the client notices
	}
	defer server.Close()
	l := &link{client: client, server: server}
	p.mu.Lock()
	p.links[l] = true
	p.mu.Unlock()
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
	l.close()
	<-answered
}

func (l *link) close() {
	l.client.Close()
	l.server.Close()
}

// questions passes on what the client says, message by message.
func (p *proxy) questions(l *link) {
	from, to := bufio.NewReaderSize(l.client, 64<<10), bufio.NewWriterSize(l.server, 64<<10)
	for startup := true; ; startup = false {
		kind, body, err := readMessage(from, startup)
		if err != nil {
			return
		}
		if kind == 'Q' && strings.EqualFold(strings.TrimRight(string(body[5:]), "\x00; "), "commit") {
			switch cut(p.armed.Swap(int32(cutNone))) {
			case cutBefore:
				p.cuts.Add(1)
				return
			case cutAfter:
				l.swallow.Store(true)
			}
		}
		if _, err := to.Write(body); err != nil {
			return
		}
		if from.Buffered() == 0 && to.Flush() != nil {
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

// answers passes on what the server says. The answer to a COMMIT comes after it has taken effect.
func (p *proxy) answers(l *link) {
	defer l.close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := l.server.Read(buffer)
		if n > 0 && l.swallow.Load() {
			p.cuts.Add(1)
			return
		}
		if _, werr := l.client.Write(buffer[:n]); errors.Join(err, werr) != nil {
			return
		}
	}
}
