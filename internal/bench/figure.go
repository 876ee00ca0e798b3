package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
)

// figure is one result. Goal and Met are absent where no goal was set.
type figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	Goal  string  `json:"goal,omitempty"`
	Met   *bool   `json:"met,omitempty"`

	grid, column, row string // its place in a table for people, if it has one
}

// report collects figures in the order in which they should be read.
type report struct {
	out     io.Writer
	figures []figure
}

func (r *report) header(lines []string) {
	for _, line := range lines {
		fmt.Fprintln(r.out, line)
	}
	fmt.Fprintln(r.out)
}

// say tells whoever waits how far the benchmark is.
func (r *report) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "  "+format+"\n", args...)
}

func (r *report) add(name string, value float64, unit string) {
	r.figures = append(r.figures, figure{Name: name, Value: value, Unit: unit})
}

func (r *report) atLeast(goal float64, name string, value float64, unit string) {
	met := value >= goal
	r.figures = append(r.figures, figure{Name: name, Value: value, Unit: unit, Goal: fmt.Sprintf(">= %g", goal), Met: &met})
}

func (r *report) atMost(goal float64, name string, value float64, unit string) {
	met := value <= goal
	r.figures = append(r.figures, figure{Name: name, Value: value, Unit: unit, Goal: fmt.Sprintf("<= %g", goal), Met: &met})
}

// put adds a figure to a table. It is called grid.column.row.
func (r *report) put(grid, column, row string, value float64, unit string) {
	r.add(grid+"."+column+"."+row, value, unit)
	r.place(grid, column, row)
}

// place puts the figure that was added last into a table.
func (r *report) place(grid, column, row string) {
	f := &r.figures[len(r.figures)-1]
	f.grid, f.column, f.row = grid, column, row
}

// writeJSON writes one object per line.
func (r *report) writeJSON(path string) error {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	for _, f := range r.figures {
		if math.IsNaN(f.Value) || math.IsInf(f.Value, 0) {
			continue // not measured
		}
		if err := encoder.Encode(f); err != nil {
			return fmt.Errorf("figure %s: %w", f.Name, err)
		}
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}
