package main

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"time"
)

// costs are amounts of what work uses up, by name. What cannot be measured here is missing.
type costs map[string]float64

// costUnits lists the costs in the order in which they are reported.
var costUnits = []struct{ name, unit string }{
	{"round_trips", "1/step"},
	{"statements", "1/step"},
	{"controls", "1/step"}, // begin, commit and the like
	{"commits", "1/step"},
	{"row_versions", "1/step"},
	{"inserts", "1/step"},
	{"updates", "1/step"},
	{"deletes", "1/step"},
	{"index_entries", "1/step"},
	{"wal", "B/step"},
	{"wal_page_images", "B/step"},
	{"server_cpu", "us/step"},
	{"client_cpu", "us/step"},
	{"allocs", "1/step"},
	{"alloc_bytes", "B/step"},
}

// reading is where all counters stand at one moment.
type reading struct {
	lsn    string
	tables costs // from the statistics views, which lag
	direct costs // of this process and the server's
}

// read takes a reading. The statistics views are right only when nobody is connected.
func (l *lab) read(ctx context.Context, m *meter, tables bool) (reading, error) {
	r := reading{direct: costs{}}
	if m != nil {
		if err := l.watch.QueryRow(ctx, "select pg_current_wal_insert_lsn()::text").Scan(&r.lsn); err != nil {
			return r, fmt.Errorf("read the WAL's position: %w", err)
		}
		r.direct["round_trips"] = float64(m.trips.Load())
		if !m.opaque.Load() {
			r.direct["statements"] = float64(m.statements.Load())
			r.direct["controls"] = float64(m.controls.Load())
		}
		if l.postmaster > 0 {
			r.direct["server_cpu"] = microseconds(serverCPU(l.postmaster))
		}
		if tables && !l.walinspect {
			if err := l.readTables(ctx, &r); err != nil {
				return r, err
			}
		}
	}
	if cpu, ok := clientCPU(); ok {
		r.direct["client_cpu"] = microseconds(cpu)
	}
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	r.direct["allocs"], r.direct["alloc_bytes"] = float64(memory.Mallocs), float64(memory.TotalAlloc)
	return r, nil
}

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// minus is what was used up between two readings.
func (c costs) minus(before costs) costs {
	used := costs{}
	for name, value := range c {
		if was, ok := before[name]; ok {
			used[name] = value - was
		}
	}
	return used
}

// written reads from the WAL what was written between two of its positions.
func (l *lab) written(ctx context.Context, from, to string) (costs, error) {
	// An end that is not flushed yet would be refused.
	rows, err := l.watch.Query(ctx, `select "resource_manager/record_type", count, record_size, fpi_size
		from pg_get_wal_stats($1::text::pg_lsn, least($2::text::pg_lsn, pg_current_wal_flush_lsn()), true) where count > 0`, from, to)
	if err != nil {
		return nil, fmt.Errorf("read the WAL: %w", err)
	}
	defer rows.Close()
	c := costs{
		"commits": 0, "row_versions": 0, "inserts": 0, "updates": 0, "hot_updates": 0, "deletes": 0, "index_entries": 0,
		"wal": 0, "wal_page_images": 0,
	}
	for rows.Next() {
		var kind string
		var count, size, images float64
		if err := rows.Scan(&kind, &count, &size, &images); err != nil {
			return nil, err
		}
		c["wal"] += size
		c["wal_page_images"] += images
		switch strings.TrimSuffix(kind, "+INIT") {
		case "Heap/INSERT":
			c["inserts"] += count
		case "Heap/UPDATE":
			c["updates"] += count
		case "Heap/HOT_UPDATE":
			c["updates"] += count
			c["hot_updates"] += count
		case "Heap/DELETE":
			c["deletes"] += count
		case "Btree/INSERT_LEAF", "Btree/INSERT_POST", "Btree/SPLIT_L", "Btree/SPLIT_R":
			c["index_entries"] += count
		case "Transaction/COMMIT":
			c["commits"] += count
		}
	}
	c["row_versions"] = c["inserts"] + c["updates"]
	return c, rows.Err()
}

// readTables reads the statistics views, from which index entries can only be estimated: as if each new row version that is
// not HOT entered every index without a condition.
func (l *lab) readTables(ctx context.Context, r *reading) error {
	var inserts, updates, hot, deletes, entries, commits, wal float64
	err := l.watch.QueryRow(ctx, `select sum(n_tup_ins), sum(n_tup_upd), sum(n_tup_hot_upd), sum(n_tup_del),
			sum((n_tup_ins + n_tup_upd - n_tup_hot_upd) *
				(select count(*) from pg_index i where i.indrelid = t.relid and i.indpred is null)),
			(select xact_commit from pg_stat_database where datname = current_database()),
			pg_current_wal_insert_lsn() - '0/0'
		from pg_stat_user_tables t where relname = any($1)`, l.tables).
		Scan(&inserts, &updates, &hot, &deletes, &entries, &commits, &wal)
	if err != nil {
		return fmt.Errorf("read the statistics: %w", err)
	}
	r.tables = costs{
		"inserts": inserts, "updates": updates, "hot_updates": hot, "deletes": deletes, "row_versions": inserts + updates,
		"index_entries": entries, "commits": commits, "wal": wal,
	}
	return nil
}

// quiet waits until the contender's connections are gone, with which the statistics are complete.
func (l *lab) quiet(ctx context.Context) error {
	for range 200 {
		var others int
		err := l.watch.QueryRow(ctx, `select count(*) from pg_stat_activity
			where datname = current_database() and application_name = $1`, contenderName).Scan(&others)
		if err != nil || others == 0 {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil
}

// put reports costs per step, those that were measured, as a column of a table.
func (c costs) put(r *report, grid, column string) {
	for _, cost := range costUnits {
		if value, ok := c[cost.name]; ok {
			r.put(grid, column, cost.name, value, cost.unit)
		}
	}
	if hot, ok := c["hot_updates"]; ok && c["updates"] > 0 {
		r.put(grid, column, "hot_share", 100*hot/c["updates"], "%")
	}
}

// over divides by a number of steps.
func (c costs) over(steps float64) costs {
	each := costs{}
	for name, value := range c {
		each[name] = value / steps
	}
	return each
}

// medianCosts is the median of each cost that all have.
func medianCosts(all []costs) costs {
	values := map[string][]float64{}
	for _, c := range all {
		for name, value := range c {
			values[name] = append(values[name], value)
		}
	}
	middle := costs{}
	for name, vs := range values {
		if len(vs) == len(all) {
			middle[name] = median(vs)
		}
	}
	return middle
}

// join adds costs that were measured in another way.
func (c costs) join(others costs) {
	for name, value := range others {
		c[name] = value
	}
}
