package main

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// tick is the unit in which Linux accounts for CPU time: USER_HZ has been 100 everywhere for twenty years.
const tick = 10 * time.Millisecond

// process is what /proc tells of one.
type process struct {
	command     string
	parent      int
	own, reaped time.Duration // CPU time; reaped is that of children that have ended
}

func readProcess(pid string) (process, bool) {
	data, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	if err != nil {
		return process{}, false
	}
	text := string(data)
	begin, end := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	fields := strings.Fields(text[end+1:])
	if begin < 0 || len(fields) < 15 {
		return process{}, false
	}
	field := func(i int) int {
		n, _ := strconv.Atoi(fields[i-3]) // proc(5) counts from 1, and two fields stand before
		return n
	}
	return process{
		command: text[begin+1 : end], parent: field(4),
		own: time.Duration(field(14)+field(15)) * tick, reaped: time.Duration(field(16)+field(17)) * tick,
	}, true
}

// findPostmaster returns the pid of the server's first process if it runs on this machine, else 0.
func findPostmaster(ctx context.Context, pool *pgxpool.Pool) (int, error) {
	var backend int
	if err := pool.QueryRow(ctx, "select pg_backend_pid()").Scan(&backend); err != nil {
		return 0, err
	}
	p, ok := readProcess(strconv.Itoa(backend))
	if !ok || p.command != "postgres" {
		return 0, nil
	}
	if first, ok := readProcess(strconv.Itoa(p.parent)); !ok || first.command != "postgres" {
		return 0, nil
	}
	return p.parent, nil
}

// serverCPU is the CPU time of all processes of the server so far, those that have ended among them.
func serverCPU(postmaster int) time.Duration {
	first, ok := readProcess(strconv.Itoa(postmaster))
	if !ok {
		return 0
	}
	total := first.own + first.reaped
	entries, _ := filepath.Glob("/proc/[0-9]*")
	for _, entry := range entries {
		if p, ok := readProcess(filepath.Base(entry)); ok && p.parent == postmaster {
			total += p.own
		}
	}
	return total
}
