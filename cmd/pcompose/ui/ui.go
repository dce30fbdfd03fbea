// Package ui is what the user sees: progress, tables, logs and messages, on a terminal, in plain text or as JSON.
//
// Results go to standard output, everything about how they come to be (progress, warnings, questions) to standard
// error, so that output can be piped. Escape sequences are written to terminals only, unless --ansi=always.
package ui

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// Mode is how progress is shown.
type Mode string

const (
	// Auto is TTY where standard error is a terminal, else Plain.
	Auto Mode = "auto"
	// TTY redraws in place.
	TTY Mode = "tty"
	// Plain is a line an event.
	Plain Mode = "plain"
	// JSON is an object an event.
	JSON Mode = "json"
	// Quiet shows warnings and errors only.
	Quiet Mode = "quiet"
)

// ANSI says whether escape sequences are written.
type ANSI string

const (
	// ANSIAuto writes them to terminals, unless NO_COLOR is set.
	ANSIAuto ANSI = "auto"
	// ANSINever writes none.
	ANSINever ANSI = "never"
	// ANSIAlways writes them to files and pipes too.
	ANSIAlways ANSI = "always"
)

// Output is a stream the user reads.
type Output struct {
	io.Writer
	// Terminal says whether somebody looks at it while it is written.
	Terminal bool
	// Escapes says whether escape sequences may be written, Colour whether those for colours may.
	Escapes, Colour bool
	// Size is the terminal's columns and rows now; 0 where unknown. It may be nil.
	Size func() (columns, rows int)
}

// UI shows. Its methods are not safe for concurrent use unless they say so.
type UI struct {
	In       io.Reader
	Out, Err Output
	// Status is where progress and what happens is told; the zero value is Err.
	Status Output
	Mode   Mode
	// Now is the clock.
	Now func() time.Time
	// Yes answers every question with yes.
	Yes bool
	// Tick is how often live progress is redrawn; 0 redraws on events only.
	Tick time.Duration
}

// NewOutput is w as an output: a terminal where w is one. NO_COLOR (no-color.org) switches colour off, TERM=dumb all escape
// sequences.
func NewOutput(w io.Writer, ansi ANSI, getenv func(string) string) Output {
	out := Output{Writer: w}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		out.Terminal = true
		out.Size = func() (int, int) {
			columns, rows, err := term.GetSize(int(f.Fd()))
			if err != nil {
				return 0, 0
			}
			return columns, rows
		}
	}
	out.Escapes = ansi == ANSIAlways || ansi != ANSINever && out.Terminal && getenv("TERM") != "dumb"
	out.Colour = out.Escapes && (ansi == ANSIAlways || getenv("NO_COLOR") == "")
	return out
}

// ProgressMode resolves Auto by where progress goes.
func ProgressMode(mode Mode, status Output) Mode {
	switch {
	case mode != Auto && mode != "":
		return mode
	case status.Terminal && status.Escapes:
		return TTY
	}
	return Plain
}

// Line prints a line of a result.
func (u *UI) Line(format string, args ...any) { fmt.Fprintf(u.Out, format+"\n", args...) }

// Text prints a result as it is.
func (u *UI) Text(b []byte) error {
	_, err := u.Out.Write(b)
	return err
}

// status is where progress goes.
func (u *UI) status() Output {
	if u.Status.Writer == nil {
		return u.Err
	}
	return u.Status
}

// Say tells what happens, where progress goes; not in quiet and JSON mode.
func (u *UI) Say(format string, args ...any) {
	if u.Mode != Quiet && u.Mode != JSON {
		fmt.Fprintf(u.status(), format+"\n", args...)
	}
}

// Warn prints warnings, one a line; in JSON mode each is an object, as docker compose's.
func (u *UI) Warn(text string) {
	for line := range strings.Lines(text) {
		if u.Mode == JSON {
			u.object(struct {
				Level string `json:"level"`
				Msg   string `json:"msg"`
				Time  string `json:"time"`
			}{"warning", strings.TrimRight(line, "\n"), u.Now().Format(time.RFC3339)})
			continue
		}
		fmt.Fprintln(u.Err, u.warning(line))
	}
}

// object prints a value of strings and numbers as JSON on one line of standard error.
func (u *UI) object(v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("a message does not marshal: %v", err)) // strings and booleans: it always does
	}
	fmt.Fprintf(u.Err, "%s\n", b)
}

func (u *UI) warning(line string) string {
	return paint(u.Err.Colour, yellow, "warning:") + " " + strings.TrimRight(line, "\n")
}

// Fail prints an error. Problems of Compose files come one a line by their own Error. In JSON mode it is an object, as docker
// compose's.
func (u *UI) Fail(err error) {
	if u.Mode == JSON {
		u.object(struct {
			Error   bool   `json:"error"`
			Message string `json:"message"`
		}{true, err.Error()})
		return
	}
	fmt.Fprintln(u.Err, strings.TrimRight(err.Error(), "\n"))
}

// Confirm asks, unless the answer is known to be yes, and takes anything but y or yes for a no; so it does where nobody
// can answer.
func (u *UI) Confirm(question string) bool {
	if u.Yes {
		return true
	}
	return Ask(u, question+" [yN]", false)
}

// Ask asks a question, and takes byDefault for the answer where the user only presses Enter. Where nobody answers it is no.
func Ask(u *UI, question string, byDefault bool) bool {
	fmt.Fprint(u.Err, question, " ")
	var answer []byte
	// Byte by byte: what follows the line is for the next question.
	for b := make([]byte, 1); ; {
		n, err := u.In.Read(b)
		if n > 0 && b[0] == '\n' {
			break
		}
		if answer = append(answer, b[:n]...); err != nil {
			fmt.Fprintln(u.Err)
			byDefault = false
			break
		}
	}
	switch strings.ToLower(strings.TrimSpace(string(answer))) {
	case "":
		return byDefault
	case "y", "yes":
		return true
	}
	return false
}

// JSON prints a value as indented JSON.
func (u *UI) JSON(v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("cannot print as JSON: %w", err)
	}
	return u.Text(append(b, '\n'))
}

// JSONLine prints a value as JSON on one line.
func (u *UI) JSONLine(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("cannot print as JSON: %w", err)
	}
	return u.Text(append(b, '\n'))
}
