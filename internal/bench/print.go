package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// print writes the figures that have goals, then the tables, then what is left.
func (r *report) print(took time.Duration) {
	width, met, goals := len("against the goals"), 0, 0
	for _, f := range r.figures {
		if f.Met != nil || f.grid == "" {
			width = max(width, len(f.Name))
		}
		if f.Met != nil {
			goals++
		}
	}
	if goals > 0 {
		r.title(fmt.Sprintf("%-*s  %12s  %-8s  %s", width, "against the goals", "value", "unit", "goal"))
	}
	for _, f := range r.figures {
		if f.Met == nil {
			continue
		}
		verdict := "NOT MET"
		switch {
		case math.IsNaN(f.Value):
			verdict = "not measured"
		case *f.Met:
			verdict = "met"
			met++
		}
		fmt.Fprintf(r.out, "%-*s  %12s  %-8s  %-8s  %s\n", width, f.Name, number(f.Value), f.Unit, f.Goal, verdict)
	}
	var grids []string
	for _, f := range r.figures {
		if f.grid != "" && !slices.Contains(grids, f.grid) {
			grids = append(grids, f.grid)
			r.table(f.grid)
		}
	}
	first := true
	for _, f := range r.figures {
		if f.Met != nil || f.grid != "" {
			continue
		}
		if first {
			r.title("besides")
			first = false
		}
		fmt.Fprintf(r.out, "%-*s  %12s  %s\n", width, f.Name, number(f.Value), f.Unit)
	}
	fmt.Fprintf(r.out, "\n%d of %d goals met, in %s\n", met, goals, took.Round(time.Second))
}

func (r *report) title(text string) {
	fmt.Fprintf(r.out, "\n%s\n%s\n", text, strings.Repeat("-", len(text)))
}

// table writes the figures of a grid, rows and columns in the order in which they came.
func (r *report) table(grid string) {
	var rows, columns []string
	cells := map[[2]string]figure{}
	units := map[string]string{}
	for _, f := range r.figures {
		if f.grid != grid {
			continue
		}
		if !slices.Contains(rows, f.row) {
			rows = append(rows, f.row)
		}
		if !slices.Contains(columns, f.column) {
			columns = append(columns, f.column)
		}
		cells[[2]string{f.row, f.column}], units[f.row] = f, f.Unit
	}
	width := len(grid)
	for _, row := range rows {
		width = max(width, len(row))
	}
	head := fmt.Sprintf("%-*s", width, grid)
	for _, column := range columns {
		head += fmt.Sprintf("  %16s", column)
	}
	r.title(head)
	for _, row := range rows {
		fmt.Fprintf(r.out, "%-*s", width, row)
		for _, column := range columns {
			text := ""
			if f, ok := cells[[2]string{row, column}]; ok {
				text = number(f.Value)
			}
			fmt.Fprintf(r.out, "  %16s", text)
		}
		fmt.Fprintf(r.out, "  %s\n", units[row])
	}
}

// number writes three or four digits, never an exponent.
func number(v float64) string {
	switch {
	case math.IsNaN(v):
		return "-"
	case v >= 100 || v <= -100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10 || v <= -10:
		return fmt.Sprintf("%.1f", v)
	case v >= 1 || v <= -1:
		return fmt.Sprintf("%.2f", v)
	default:
		return fmt.Sprintf("%.3f", v)
	}
}
