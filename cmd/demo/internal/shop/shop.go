package shop

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"time"

	"github.com/squidmesh/squidmesh-go/cmd/demo/internal/payments"
)

// Shop is what the steps of the workflows need. Its methods are the steps.
type Shop[TTx any] struct {
	// SQL reaches the shop's tables.
	SQL SQL[TTx]

	// Payments is the provider.
	Payments *payments.Client

	// Dir is where digests are written.
	Dir string
}

//go:embed schema.sql
var schema string

// Open creates the shop's tables where they are missing, fills the shelves and opens the night, once. It returns the night's
// name: everything that happens until the tables are gone belongs to that night.
func (s *Shop[TTx]) Open(ctx context.Context, tx TTx) (night string, err error) {
	for statement := range strings.SplitSeq(schema, ";\n") {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		if _, err := s.SQL.Exec(ctx, tx, statement); err != nil {
			return "", fmt.Errorf("create the shop's tables: %w", err)
		}
	}
	for isbn, book := range Catalogue() {
		const q = `insert into shop_stock (isbn, copies, on_hand) values ($1, $2, $2) on conflict (isbn) do nothing`
		if _, err := s.SQL.Exec(ctx, tx, q, string(isbn), book.Copies); err != nil {
			return "", fmt.Errorf("fill the shelves: %w", err)
		}
	}
	for _, counter := range []string{"parcel", "receipt"} {
		const q = `insert into shop_counter (name, value) values ($1, 0) on conflict (name) do nothing`
		if _, err := s.SQL.Exec(ctx, tx, q, counter); err != nil {
			return "", fmt.Errorf("set up counters: %w", err)
		}
	}
	now := time.Now()
	const open = `insert into shop_night (id, started_at) select cast($1 as text), cast($2 as bigint) where not exists (select 1 from shop_night)`
	if _, err := s.SQL.Exec(ctx, tx, open, now.Format(time.DateOnly), now.UnixMilli()); err != nil {
		return "", fmt.Errorf("open the night: %w", err)
	}
	err = s.SQL.Query(ctx, tx, `select id from shop_night`, nil, func(scan Scan) error { return scan(&night) })
	if err != nil {
		return "", fmt.Errorf("read the night: %w", err)
	}
	return night, nil
}

// count takes the next number of a counter. The row stays locked until tx ends, so numbers have no gaps.
func (s *Shop[TTx]) count(ctx context.Context, tx TTx, name string) (n int64, err error) {
	const q = `update shop_counter set value = value + 1 where name = $1 returning value`
	err = s.SQL.Query(ctx, tx, q, []any{name}, func(scan Scan) error { return scan(&n) })
	if err != nil {
		return 0, fmt.Errorf("count %s: %w", name, err)
	}
	return n, nil
}
