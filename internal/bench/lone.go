package main

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

// pauseAlone lies between two runs that are to be alone: longer than the queue's cooldown, so that none profits from the fetch
// for the one before it, nor waits for it.
const pauseAlone = 25 * time.Millisecond

// measureLone compares a ten-step run that has the machine to itself with ten commits of one statement each, in turns. Beside them stand ten
// transactions of two round trips, which is what anybody pays who looks, under a lock, before he writes.
func measureLone(ctx context.Context, l *lab) error {
	measured := pick(l.options, []string{byMesh}, []string{byHops, byMesh}) // a chain waits for a poll at each step, for seconds
	lone := map[string][]float64{}
	var commits, transactions, ratios []float64
	for range l.rounds {
		for _, by := range measured {
			took, err := l.lone(ctx, by)
			if err != nil {
				return err
			}
			run, ten, two := median(took.runs), median(took.commits), median(took.transactions)
			lone[by], commits, transactions = append(lone[by], run), append(commits, ten), append(transactions, two)
			if by == byMesh {
				ratios = append(ratios, run/ten)
			}
			l.report.say("lone %-24s %8.2f ms against %.2f ms for ten commits, %.2f ms for ten transactions", by, run, ten, two)
		}
	}
	l.report.atMost(2.5, "lone.ratio.run_of_10_to_10_commits", median(ratios), "x")
	for _, by := range measured {
		l.report.add("lone.run_of_10."+by, median(lone[by]), "ms")
	}
	l.report.add("lone.run_of_10.commits", median(commits), "ms")
	l.report.add("lone.run_of_10.transactions", median(transactions), "ms")
	return nil
}

// alone is what some runs and as many yardsticks took, in milliseconds.
type alone struct{ runs, commits, transactions []float64 }

func (l *lab) lone(ctx context.Context, by string) (took alone, err error) {
	_, err = l.watch.Exec(ctx, `create table if not exists bench_yardstick (id bigserial primary key, data text, n integer not null default 0)
		with (fillfactor = 50)`)
	if err != nil {
		return took, err
	}
	who, err := l.open(by, 10)(ctx)
	if err != nil {
		return took, err
	}
	const unprepared = 3 // runs, before all statements are
	until := time.Now().Add(pick(l.options, 2*time.Second, 4*time.Second))
	for i := 0; time.Now().Before(until) || i <= unprepared; i++ {
		begun := time.Now()
		if err := who.run(ctx); err != nil {
			return took, err
		}
		run := time.Since(begun)
		commits, err := l.ten(ctx, oneInsert)
		if err != nil {
			return took, err
		}
		transactions, err := l.ten(ctx, oneTransaction)
		if err != nil {
			return took, err
		}
		if i >= unprepared {
			took.runs = append(took.runs, milliseconds(run)...)
			took.commits = append(took.commits, milliseconds(commits)...)
			took.transactions = append(took.transactions, milliseconds(transactions)...)
		}
		if err := sleep(ctx, pauseAlone); err != nil {
			return took, err
		}
	}
	return took, who.close()
}

// ten is how long something takes when it is done ten times, one after the other.
func (l *lab) ten(ctx context.Context, do func(context.Context, *pgx.Conn, string) error) (time.Duration, error) {
	data := payload()
	conn, err := l.watch.Acquire(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Release()
	begun := time.Now()
	for range 10 {
		if err := do(ctx, conn.Conn(), data); err != nil {
			return 0, err
		}
	}
	return time.Since(begun), nil
}

// oneInsert is a step's data in a transaction of one statement.
func oneInsert(ctx context.Context, conn *pgx.Conn, data string) error {
	_, err := conn.Exec(ctx, "insert into bench_yardstick (data) values ($1)", data)
	return err
}

// oneTransaction locks a row in one round trip, and in another inserts two and updates two. That is the least a step writes.
func oneTransaction(ctx context.Context, conn *pgx.Conn, data string) error {
	var id int64
	look, write := &pgx.Batch{}, &pgx.Batch{}
	look.Queue("begin")
	look.Queue("select id, clock_timestamp() from bench_yardstick where id = 1 for no key update").QueryRow(func(row pgx.Row) error {
		return row.Scan(&id, nil)
	})
	if err := conn.SendBatch(ctx, look).Close(); err != nil {
		return err
	}
	write.Queue("insert into bench_yardstick (data) values ($1), ('')", data)
	write.Queue("update bench_yardstick set n = n + 1 where id between $1::bigint and $1::bigint + 1", id)
	write.Queue("commit")
	return conn.SendBatch(ctx, write).Close()
}

// measureFirst measures from the call of StartRun to that of the first step's function while nothing else is going on.
func measureFirst(ctx context.Context, l *lab) error {
	var took []time.Duration
	for range l.rounds {
		called := &ends[string]{}
		s, err := l.postgres(ctx)
		if err != nil {
			return err
		}
		m, err := openMesh(ctx, s, meshOptions{workflow: signalling(0, called.end), count: &atomic.Int64{}})
		if err != nil {
			return err
		}
		for i := range pick(l.options, 25, 105) {
			data := payload()
			done := called.register(data)
			begun := time.Now()
			if _, err := m.begin(ctx, data); err != nil {
				return err
			}
			select {
			case <-done:
			case <-ctx.Done():
				return ctx.Err()
			}
			if i >= 5 {
				took = append(took, time.Since(begun))
			}
			// Not in step with any poll or cooldown.
			if err := sleep(ctx, pauseAlone+time.Duration(i%7)*7*time.Millisecond); err != nil {
				return err
			}
		}
		if err := m.close(); err != nil {
			return err
		}
	}
	ms := milliseconds(took...)
	l.report.say("first step after %.1f ms, p99 %.1f ms", quantile(ms, 0.5), quantile(ms, 0.99))
	l.report.atMost(25, "first.step_after_start_run.p99", quantile(ms, 0.99), "ms")
	l.report.add("first.step_after_start_run.p50", quantile(ms, 0.5), "ms")
	return nil
}
