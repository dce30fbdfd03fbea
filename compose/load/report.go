package load

import "github.com/pcompose/pcompose/compose"

// report collects what there is to say to the user.
type report struct {
	// cwd is what files are named relative to.
	cwd      string
	problems compose.Problems
	warnings compose.Problems
	// ignored are parts of values that go no further.
	ignored compose.Problems
}

// problem records an error of the user's.
func (r *report) problem(at compose.Position, path, message, hint string) {
	r.problems = append(r.problems, compose.Problem{At: at, Path: path, Message: message, Hint: hint})
}

// warn records what the user should know and may leave as it is.
func (r *report) warn(at compose.Position, path, message, hint string) {
	r.warnings = append(r.warnings, compose.Problem{At: at, Path: path, Message: message, Hint: hint})
}

// short is a file as seen from where the user is.
func (r *report) short(file string) string {
	return compose.Position{File: file}.Relative(r.cwd).String()
}
