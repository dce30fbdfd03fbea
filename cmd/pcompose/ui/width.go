package ui

import (
	"strings"
	"unicode/utf8"
)

// width is the columns a text takes. Names and reasons are letters of one column each.
func width(s string) int { return utf8.RuneCountInString(s) }

// pad fills a text with spaces up to n columns.
func pad(s string, n int) string { return s + strings.Repeat(" ", max(0, n-width(s))) }

// cut shortens a text to n columns, the last an ellipsis; n of 0 or less cuts nothing.
func cut(s string, n int) string {
	if n <= 0 || width(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}
