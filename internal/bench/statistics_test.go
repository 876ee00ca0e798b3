package main

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestQuantile(t *testing.T) {
	t.Parallel()

	require.True(t, math.IsNaN(median(nil)))
	require.Equal(t, 7.0, median([]float64{7}))
	require.Equal(t, 2.0, median([]float64{3, 1, 2}))
	require.Equal(t, 2.5, median([]float64{4, 1, 2, 3}))
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(100 - i)
	}
	require.Equal(t, 99.0, quantile(hundred, 0.99))
	require.Equal(t, 100.0, quantile(hundred, 1))
}
