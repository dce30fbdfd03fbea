package compose

import (
	"fmt"
	"slices"
	"strings"
)

// Nearest is the candidate that name is most likely a misspelling of, "" when none is close.
// Close is an edit distance (insert, delete, change, swap neighbours) of at most a third of the name; among equals the first in order wins.
func Nearest(name string, candidates []string) string {
	best, bound := "", max(1, (len(name)+1)/3)+1
	lower := normal(name)
	for _, c := range slices.Sorted(slices.Values(candidates)) {
		if d := distance(lower, normal(c)); d < bound {
			best, bound = c, d
		}
	}
	return best
}

// DidYouMean is the hint that offers the nearest candidate, "" when none is close.
func DidYouMean(name string, candidates []string) string {
	if near := Nearest(name, candidates); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return ""
}

// normal drops what people get wrong without misspelling: case, and hyphens for underscores.
func normal(s string) string {
	return strings.ReplaceAll(strings.ToLower(s), "-", "_")
}

// distance is the optimal string alignment distance of two names.
func distance(a, b string) int {
	before, prev, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, prev, row = prev, row, before
	}
	return prev[len(b)]
}
