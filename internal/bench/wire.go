package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"sync/atomic"
	"time"
)

// meter counts what goes over the connections of a pool. What a driver calls a query says nothing about round trips, so it
// looks at the bytes.
type meter struct {
	trips      atomic.Int64 // a read that follows a write
	statements atomic.Int64 // executions, without the next
	controls   atomic.Int64 // begin, commit, rollback and savepoints
	opaque     atomic.Bool  // encrypted: only trips are known

	away time.Duration // that an answer is on its way
}

// dial is a pgconn.DialFunc.
func (m *meter) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{KeepAlive: 5 * time.Minute}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &meteredConn{Conn: conn, meter: m, wire: wire{startup: true}}, nil
}

type meteredConn struct {
	net.Conn
	meter *meter
	asked atomic.Bool
	wire  wire // used by writers, of which there is one at a time
}

func (c *meteredConn) Write(b []byte) (int, error) {
	c.wire.scan(b, c.meter)
	c.asked.Store(true)
	return c.Conn.Write(b)
}

func (c *meteredConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 && c.asked.CompareAndSwap(true, false) {
		c.meter.trips.Add(1)
		time.Sleep(c.meter.away)
	}
	return n, err
}

// wire follows the messages of a client: a type byte, a length that includes itself, and a body. The first message has no type.
type wire struct {
	startup bool
	opaque  bool
	header  []byte
	body    int    // bytes of it to come
	begins  []byte // the start of the body

	prepared map[string]bool // whether a prepared statement is a control
	bound    bool            // whether the one to be executed is
}

// startOf is how much of a body is kept: names of statements, and the first word of one.
const startOf = 128

const sslRequest = 80877103

func (w *wire) scan(b []byte, m *meter) {
	for len(b) > 0 && !w.opaque {
		if w.body > 0 {
			n := min(w.body, len(b))
			w.begins = append(w.begins, b[:min(n, startOf-len(w.begins))]...)
			w.body -= n
			b = b[n:]
		} else {
			want := 5
			if w.startup {
				want = 8 // the version too, which tells whether encryption is asked for
			}
			n := min(want-len(w.header), len(b))
			w.header = append(w.header, b[:n]...)
			b = b[n:]
			if len(w.header) < want {
				return
			}
			w.body = int(binary.BigEndian.Uint32(w.header[want-4:])) - 4
			if w.startup {
				w.body = int(binary.BigEndian.Uint32(w.header)) - 8
				if binary.BigEndian.Uint32(w.header[4:]) == sslRequest {
					w.opaque = true
					m.opaque.Store(true)
				}
			}
		}
		if w.body == 0 {
			w.message(m)
		}
	}
}

func (w *wire) message(m *meter) {
	switch {
	case w.startup:
		w.startup = false
	case w.header[0] == 'P':
		name, query, _ := bytes.Cut(w.begins, []byte{0})
		if w.prepared == nil {
			w.prepared = map[string]bool{}
		}
		w.prepared[string(name)] = control(query)
	case w.header[0] == 'B':
		_, rest, _ := bytes.Cut(w.begins, []byte{0})
		name, _, _ := bytes.Cut(rest, []byte{0})
		w.bound = w.prepared[string(name)]
	case w.header[0] == 'E' && w.bound:
		m.controls.Add(1)
	case w.header[0] == 'E':
		m.statements.Add(1)
	case w.header[0] == 'Q' && control(w.begins):
		m.controls.Add(1)
	case w.header[0] == 'Q':
		m.statements.Add(1)
	}
	w.header, w.begins = w.header[:0], w.begins[:0]
}

func control(query []byte) bool {
	query = bytes.ToLower(query)
	for _, word := range []string{"begin", "commit", "rollback", "savepoint", "release"} {
		if bytes.HasPrefix(query, []byte(word)) {
			return true
		}
	}
	return false
}
