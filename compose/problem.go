package compose

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is something wrong with, or not carried out from, what the user wrote.
type Problem struct {
	// At is where it was written; unknown where no file has it.
	At Position
	// Path is the dotted path of the value, services.web.ports[0]; "" for a file as a whole.
	Path string
	// Message says what is wrong, lower case, without a full stop.
	Message string
	// Hint says what to do about it; "" where the message says it all.
	Hint string
}

// Error is compose.yaml:14:9: services.web.depends_on: no service named "databse" (did you mean "database"?).
func (p Problem) Error() string {
	var b strings.Builder
	if p.At.Known() {
		b.WriteString(p.At.String() + ": ")
	}
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Message)
	if p.Hint != "" {
		fmt.Fprintf(&b, " (%s)", p.Hint)
	}
	return b.String()
}

// Compare orders problems as they stand in the files.
func (p Problem) Compare(q Problem) int {
	return cmp.Or(p.At.Compare(q.At), cmp.Compare(p.Path, q.Path), cmp.Compare(p.Message, q.Message))
}

// Problems are all problems found, as one error.
type Problems []Problem

// Error lists the problems one a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Sorted is ps in the order of the files, positions relative to dir where that is shorter. What is said of one place twice,
// since an anchor stands for it at several paths, is kept once.
func (ps Problems) Sorted(dir string) Problems {
	out := slices.Clone(ps)
	for i := range out {
		out[i].At = out[i].At.Relative(dir)
	}
	slices.SortFunc(out, Problem.Compare)
	return slices.CompactFunc(out, func(p, q Problem) bool {
		return p.At == q.At && p.Message == q.Message && (p.At.Line > 0 || p.Path == q.Path)
	})
}

// Err is ps as an error, nil when there is none.
func (ps Problems) Err() error {
	if len(ps) == 0 {
		return nil
	}
	return ps
}
