package main

import (
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"
)

func TestWire_CountsWhatIsExecutedHoweverItIsCutUp(t *testing.T) {
	t.Parallel()

	var b []byte
	for _, message := range []pgproto3.FrontendMessage{
		&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersion30, Parameters: map[string]string{"user": "u"}},
		&pgproto3.Query{String: "begin isolation level read committed"},
		&pgproto3.Parse{Name: "s1", Query: "select $1"},
		&pgproto3.Bind{PreparedStatement: "s1", Parameters: [][]byte{[]byte("EEEE")}},
		&pgproto3.Execute{},
		&pgproto3.Sync{},
		&pgproto3.Parse{Name: "s2", Query: "begin"},
		&pgproto3.Bind{PreparedStatement: "s2"},
		&pgproto3.Execute{},
		&pgproto3.Bind{PreparedStatement: "s1"},
		&pgproto3.Execute{},
		&pgproto3.Query{String: "select 1"},
		&pgproto3.Query{String: "COMMIT"},
	} {
		var err error
		b, err = message.Encode(b)
		require.NoError(t, err)
	}
	for _, size := range []int{1, 3, 7, len(b)} {
		var m meter
		w := wire{startup: true}
		for rest := b; len(rest) > 0; {
			n := min(size, len(rest))
			w.scan(rest[:n], &m)
			rest = rest[n:]
		}
		require.EqualValues(t, 3, m.statements.Load(), "pieces of %d", size)
		require.EqualValues(t, 3, m.controls.Load(), "pieces of %d", size)
		require.False(t, m.opaque.Load())
	}
}

func TestWire_CountsNothingBehindEncryption(t *testing.T) {
	t.Parallel()

	b, err := (&pgproto3.SSLRequest{}).Encode(nil)
	require.NoError(t, err)
	var m meter
	w := wire{startup: true}
	w.scan(append(b, "E\x00\x00\x00\x04E\x00\x00\x00\x04"...), &m)
	require.True(t, m.opaque.Load())
	require.Zero(t, m.statements.Load())
}
