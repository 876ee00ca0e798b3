package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/squidmesh/squidmesh-go/cmd/demo/internal/payments"
	"github.com/squidmesh/squidmesh-go/cmd/demo/internal/shop"
)

func TestReadOrders_EmbeddedNightHasWhatItShows(t *testing.T) {
	t.Parallel()
	orders, refused, err := readOrders("")
	require.NoError(t, err)
	require.Empty(t, refused)
	require.Len(t, orders, 24)
	var big, abroad, bad int
	for _, o := range orders {
		require.NotNil(t, o.Expect, o.Order)
		q, err := shop.Price(o.payload(payments.Method{}))
		t.Logf("%s %10s EUR %5.1f kg %s", o.Order, q.Total, float64(q.Grams)/1000, o.ShipTo.Country)
		if err != nil {
			bad++
		}
		if q.Total > 500_00 {
			big++
		}
		if o.BillTo.Country != o.ShipTo.Country {
			abroad++
		}
	}
	require.Equal(t, 2, bad)
	require.GreaterOrEqual(t, big, 3)
	require.GreaterOrEqual(t, abroad, 1)
}

func TestReadOrders_RefusesBadOnesOneByOne(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "orders.json")
	write := func(s string) { require.NoError(t, os.WriteFile(path, []byte(s), 0o600)) }

	write(`[
		{"order": "a-1", "card": "4242424242424242"},
		{"order": "a-1", "card": "4242424242424242"},
		{"order": "a-2", "card": "4242424242424241"},
		{"order": "a-3", "card": "4242424242424242", "colour": "red"},
		{"order": "a-4", "card": "4242424242424242", "sandbox": "sulks"},
		{"order": "a 5", "card": "4242424242424242"},
		{"card": "4242424242424242"},
		{"order": "a-6", "card": "4242424242424242", "review": "maybe"},
		7
	]`)
	orders, refused, err := readOrders(path)
	require.NoError(t, err)
	require.Len(t, orders, 1)
	var said []string
	for _, r := range refused {
		said = append(said, r.Order+": "+r.Err.Error())
	}
	require.Equal(t, []string{
		"a-1: is there twice",
		"a-2: card number ending in 4241: check digit is wrong",
		`a-3: is no order: unknown field "colour"`,
		`a-4: unknown sandbox behaviour "sulks": use rate_limited, outage, slow_capture, lost_capture`,
		"a 5: the order number must have at most 100 characters, none of them blank or invisible",
		"entry 7: has no order number",
		`a-6: review is "maybe": must be approve or reject`,
		"entry 9: is no order: cannot unmarshal number into Go value of type main.order",
	}, said)

	write(`{"orders": []}`)
	_, _, err = readOrders(path)
	require.ErrorContains(t, err, "must be a JSON array of orders")
	_, _, err = readOrders(path + "x")
	require.ErrorIs(t, err, os.ErrNotExist)
}
