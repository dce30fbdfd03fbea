package ui

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Entry is a line of a container's output, or something that became of the container.
type Entry struct {
	// Name is the container's as logs show it: without the project.
	Name string
	At   time.Time
	// Text is without its line end.
	Text   string
	Stderr bool
	// Status marks Text as what became of the container: "exited with code 0".
	Status bool
}

// LogOptions are how log lines are shown.
type LogOptions struct {
	NoPrefix, NoColour, Timestamps bool
	// Names are the containers that will show, for the width of the prefix; the first gets the first colour.
	Names []string
}

// Log prints the output of containers. It is safe for concurrent use. It blocks only its callers, however slowly
// it is read, so that they must not be anything others wait for.
type Log struct {
	ui    *UI
	opt   LogOptions
	width int
	// mu keeps lines whole, and guards names.
	mu    sync.Mutex
	names []string
}

// Log is a display for logs.
func (u *UI) Log(opt LogOptions) *Log {
	l := &Log{ui: u, opt: opt, names: slices.Clone(opt.Names)}
	for _, n := range l.names {
		l.width = max(l.width, width(n))
	}
	return l
}

// Print prints entries in the order of their time.
func (l *Log) Print(entries []Entry) {
	slices.SortStableFunc(entries, func(a, b Entry) int { return a.At.Compare(b.At) })
	l.mu.Lock()
	defer l.mu.Unlock()
	var text strings.Builder
	stderr := false
	flush := func() {
		out := l.ui.Out
		if stderr {
			out = l.ui.Err
		}
		fmt.Fprint(out, text.String())
		text.Reset()
	}
	for _, e := range entries {
		if e.Stderr != stderr {
			flush()
			stderr = e.Stderr
		}
		text.WriteString(l.format(e))
	}
	flush()
}

// format is an entry's line.
func (l *Log) format(e Entry) string {
	n := slices.Index(l.names, e.Name)
	if n < 0 {
		n = len(l.names)
		l.names = append(l.names, e.Name)
		l.width = max(l.width, width(e.Name))
	}
	on := !l.opt.NoColour && l.ui.Out.Colour
	if e.Status {
		return paint(on, logColour(n), e.Name+" "+e.Text) + "\n"
	}
	stamp := ""
	if l.opt.Timestamps {
		stamp = e.At.UTC().Format("2006-01-02T15:04:05.000000000Z07:00") + " "
	}
	if l.opt.NoPrefix {
		return stamp + e.Text + "\n"
	}
	// Two spaces at least, so that the bar stands apart from the longest name, as docker compose has it.
	return paint(on, logColour(n), pad(e.Name, l.width+1)+" | ") + stamp + e.Text + "\n"
}
