// Package nearest finds the name that somebody probably meant.
package nearest

import "strings"

// longest bounds, in bytes, what is compared: the cost of a comparison is the product of two lengths.
const longest = 128

// Name finds the candidate that the author probably meant: the one with the fewest changes, if these are no more than
// a third of the name or one. OrderID and order_id count as the same.
func Name(name string, candidates []string) (string, bool) {
	if len(name) > longest {
		return "", false
	}
	best, found := "", false
	limit := max(1, len(name)/3)
	for _, candidate := range candidates {
		if candidate == name || candidate == "" || len(candidate) > longest {
			continue
		}
		if strings.EqualFold(joined.Replace(candidate), joined.Replace(name)) {
			return candidate, true
		}
		if d := distance(name, candidate); d <= limit && d < len(name) {
			best, found, limit = candidate, true, d-1
		}
	}
	return best, found
}

var joined = strings.NewReplacer("_", "", "-", "")

// distance counts the bytes to insert, delete, replace or swap with their neighbour that turn a into b.
func distance(a, b string) int {
	if len(a)-len(b) > len(a)/3+1 || len(b)-len(a) > len(a)/3+1 {
		return len(a) + len(b) // too far to matter
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row = last, row, before
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d := min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, before[j-2]+1)
			}
			row[j] = d
		}
	}
	return row[len(b)]
}
