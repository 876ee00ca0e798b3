package shop

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/squidmesh/squidmesh-go/squidmesh"
)

// zone is where the shop's clock hangs.
const zone = "Europe/Berlin"

// DigestRequest is the payload of a digest.
type DigestRequest struct {
	Day string `json:"day"` // the digest is of the day before, as 2006-01-02
}

// Digest adds up what was sold the day before, every working day at seven.
func Digest[TTx any](s *Shop[TTx], pace Pace) squidmesh.Workflow {
	return squidmesh.Workflow{
		Name:        "nightly_digest",
		Description: "What was sold yesterday.",
		Triggers: []squidmesh.Trigger{
			squidmesh.Cron("nightly", "0 7 * * MON-FRI", zone,
				squidmesh.Payload[DigestRequest](squidmesh.Defaults{"day": squidmesh.DefaultToday})),
			squidmesh.Manual("by_hand", squidmesh.Payload[DigestRequest]()),
		},
		Steps: []squidmesh.Step{
			{Name: "add_up", Do: squidmesh.FuncTx(s.AddUp), Output: "sales", Retry: pace.stubborn(), Timeout: txTimeout, Next: "write"},
			{Name: "write", Do: squidmesh.Effect(s.WriteDigest), Retry: pace.patient()},
		},
	}
}

// Sales are the sums of a day.
type Sales struct {
	Day    string `json:"day"`
	Orders int    `json:"orders"`
	Total  Cents  `json:"total"`
	VAT    Cents  `json:"vat"`
	Body   string `json:"body"`
}

// AddUp sums the receipts of the day before, from midnight to midnight on the shop's clock.
func (s *Shop[TTx]) AddUp(ctx context.Context, tx TTx, in DigestRequest) (Sales, error) {
	from, to, err := dayBefore(in.Day)
	if err != nil {
		return Sales{}, squidmesh.Fail(squidmesh.WithCode("invalid_day", err))
	}
	sales := Sales{Day: from.Format(time.DateOnly)}
	var body strings.Builder
	fmt.Fprintf(&body, "Sold on %s\n\n", sales.Day)
	const q = `select country, count(*), cast(sum(total) as bigint), cast(sum(vat) as bigint) from shop_receipt
		where issued_at >= $1 and issued_at < $2 group by country order by country`
	err = s.SQL.Query(ctx, tx, q, []any{from.UnixMilli(), to.UnixMilli()}, func(scan Scan) error {
		var country string
		var orders int
		var total, vat Cents
		if err := scan(&country, &orders, &total, &vat); err != nil {
			return err
		}
		sales.Orders += orders
		sales.Total += total
		sales.VAT += vat
		fmt.Fprintf(&body, "%s  %3d orders  %10s EUR  VAT %9s EUR\n", country, orders, total, vat)
		return nil
	})
	if err != nil {
		return Sales{}, fmt.Errorf("add up receipts: %w", err)
	}
	fmt.Fprintf(&body, "\nAll %3d orders  %10s EUR  VAT %9s EUR\n", sales.Orders, sales.Total, sales.VAT)
	sales.Body = body.String()

	const note = `insert into shop_digest (day, orders, total, vat, body) values ($1, $2, $3, $4, $5)
		on conflict (day) do update set orders = excluded.orders, total = excluded.total, vat = excluded.vat, body = excluded.body`
	if _, err := s.SQL.Exec(ctx, tx, note, sales.Day, sales.Orders, int64(sales.Total), int64(sales.VAT), sales.Body); err != nil {
		return Sales{}, fmt.Errorf("note digest: %w", err)
	}
	return sales, nil
}

// dayBefore is the day before a date, as the shop's clock has it: 23 or 25 hours long twice a year.
func dayBefore(date string) (from, to time.Time, err error) {
	loc, err := time.LoadLocation(zone)
	if err != nil {
		return from, to, fmt.Errorf("load the shop's time zone: %w", err)
	}
	to, err = time.ParseInLocation(time.DateOnly, date, loc)
	if err != nil {
		return from, to, fmt.Errorf("day %q is no date such as 2006-01-02", date)
	}
	return to.AddDate(0, 0, -1), to, nil
}

type writeDigestIn struct {
	Sales Sales `json:"sales"`
}

// WriteDigest writes the digest to a file. It may happen twice; the second time changes nothing.
func (s *Shop[TTx]) WriteDigest(_ context.Context, in writeDigestIn) error {
	path := DigestPath(s.Dir, in.Sales.Day)
	if err := os.WriteFile(path+".new", []byte(in.Sales.Body), 0o600); err != nil {
		return fmt.Errorf("write digest: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write digest: %w", err)
	}
	return nil
}

// DigestPath is the file of a day's digest.
func DigestPath(dir, day string) string { return filepath.Join(dir, "digest-"+day+".txt") }
