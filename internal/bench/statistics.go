package main

import (
	"math"
	"slices"
	"time"
)

// median of values; NaN if there are none.
func median(values []float64) float64 { return quantile(values, 0.5) }

// quantile is the smallest value that is not below a share q of all.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	i := int(math.Ceil(q*float64(len(sorted)))) - 1
	if q == 0.5 && len(sorted)%2 == 0 {
		return (sorted[i] + sorted[i+1]) / 2
	}
	return sorted[max(i, 0)]
}

// milliseconds turns durations into figures.
func milliseconds(ds ...time.Duration) []float64 {
	values := make([]float64, len(ds))
	for i, d := range ds {
		values[i] = float64(d) / float64(time.Millisecond)
	}
	return values
}
