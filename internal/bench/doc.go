// Command bench measures squidmesh against River alone and against a chain of River jobs written by hand, in one run and on the
// same PostgreSQL, since absolute figures say little about another machine.
//
//	make bench                                    # everything, in less than ten minutes
//	BENCH_QUICK=1 make bench                      # the most telling part, in less than 90 seconds
//	BENCH_ARGS='-only lone,timers' make bench     # some groups
//	BENCH_JSON=figures.json make bench            # one JSON object per figure and line besides
//
// Every measurement is a cell: a database emptied, a contender opened, a warm-up, the planner's statistics, and then a window
// in which runs are kept in flight, as many as the cell says. Steps are counted by the functions that they call and runs by the
// runtime's observer, so that counting costs the database nothing. Cells of different contenders take turns, and figures are
// medians of the rounds.
//
// What a step costs is read where it arises: round trips and statements on the wire, rows, index entries, commits and bytes in
// the WAL of the window (pg_walinspect; before PostgreSQL 15 estimated from the statistics views), CPU time from the
// kernel's accounts of this process and of the server's, allocations from Go's.
package main
