package compose

import (
	"cmp"
	"fmt"
	"path/filepath"
	"strings"
)

// Position is the place in a file where something was written.
type Position struct {
	// File is absolute, or "-" for standard input.
	File string
	// Line and Column count from 1, columns in characters; 0 where the place is the file as a whole.
	Line, Column int
}

// Known says whether p names a file at all.
func (p Position) Known() bool { return p.File != "" }

// String is file:line:column, as compilers print it, so that editors and terminals can jump to it.
func (p Position) String() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.Column == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Relative is p with its file as seen from dir, where that is no longer than the absolute path.
// At most two folders up are walked: beyond that a relative path is harder to read than an absolute one.
func (p Position) Relative(dir string) Position {
	if dir == "" || !filepath.IsAbs(p.File) {
		return p
	}
	rel, err := filepath.Rel(dir, p.File)
	if err == nil && !strings.HasPrefix(rel, "../../../") && len(rel) < len(p.File) {
		p.File = rel
	}
	return p
}

// Compare orders positions by file, line and column.
func (p Position) Compare(q Position) int {
	return cmp.Or(cmp.Compare(p.File, q.File), cmp.Compare(p.Line, q.Line), cmp.Compare(p.Column, q.Column))
}
