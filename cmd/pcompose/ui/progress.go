package ui

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/pcompose/pcompose/engine/execute"
	"github.com/pcompose/pcompose/planner"
	"github.com/pcompose/pcompose/pod"
)

// Progress shows a plan being carried out. Event and Close are called from one goroutine.
type Progress interface {
	// Event shows what happened to a step.
	Event(execute.Event)
	// Close ends the display, leaving its last state to be read.
	Close()
}

// Progress is the display of a plan in the mode the user chose. It must be closed.
func (u *UI) Progress(plan *planner.Plan) Progress {
	switch u.Mode {
	case TTY:
		return newLive(u, plan)
	case JSON:
		return &jsonProgress{u.status(), replaced(plan)}
	case Quiet:
		return &quiet{u}
	}
	return u.Steps(plan)
}

// Beside is Progress that redraws until the first container starts, and no more then: containers write beside it.
func (u *UI) Beside(plan *planner.Plan) Progress {
	if u.Mode != TTY {
		return u.Progress(plan)
	}
	return &beside{Progress: u.Progress(plan), steps: u.Steps(plan)}
}

// beside is live progress until a start, and steps from there.
type beside struct {
	Progress
	// steps is nil once it took over.
	steps Progress
}

func (b *beside) Event(e execute.Event) {
	if _, ok := e.Step.Action.(planner.StartContainer); ok && b.steps != nil {
		b.Close()
		b.Progress, b.steps = b.steps, nil
	}
	b.Progress.Event(e)
}

// Steps is Progress that never redraws: for where other output is written at the same time.
func (u *UI) Steps(plan *planner.Plan) Progress {
	if u.Mode == JSON || u.Mode == Quiet {
		return u.Progress(plan)
	}
	return &plainProgress{u, replaced(plan), map[string]bool{}, map[string]bool{}}
}

// Hidden is Progress that shows warnings only: for what goes without saying.
func Hidden(u *UI) Progress { return &quiet{u} }

// quiet shows warnings only.
type quiet struct{ ui *UI }

func (p *quiet) Event(e execute.Event) {
	if e.Progress.Warning != "" {
		p.ui.Warn(e.Progress.Warning)
	}
}

func (p *quiet) Close() {}

// plainProgress is a line for each begin and end of a step.
type plainProgress struct {
	ui       *UI
	replaced map[string]bool
	// skipped are the objects said to be, once for all their steps; failed ones are not.
	skipped, failed map[string]bool
}

func (p *plainProgress) Event(e execute.Event) {
	d := e.Step.Describe()
	doing, done := words(e.Step.Action, p.replaced[d.Name])
	why := ""
	switch e.State {
	case execute.Started:
		done = doing
	case execute.Progressed:
		if b := e.Progress.Build; b != nil {
			p.build(d.Name, *b)
			return
		}
		if e.Progress.Warning != "" {
			p.ui.Warn(e.Progress.Warning)
		}
		if e.Progress.Message == "" {
			return
		}
		done = firstLine(e.Progress.Message)
	case execute.Succeeded:
		why = reason(e.Step, p.replaced[d.Name])
	case execute.Failed:
		p.failed[d.Object()], done = true, "Error"
	case execute.Skipped:
		if p.skipped[d.Object()] || p.failed[d.Object()] {
			return
		}
		p.skipped[d.Object()], done = true, "Skipped"
	}
	line := fmt.Sprintf(" %s  %s", object(d), done)
	if why != "" {
		line += "  " + why
	}
	fmt.Fprintln(p.ui.status(), line)
}

// build is a line for each instruction of a build and each line that it prints.
func (p *plainProgress) build(image string, b pod.BuildStep) {
	switch {
	case b.Output != "" || b.Name == "":
		fmt.Fprintf(p.ui.status(), " %s  | %s\n", image, b.Output)
	case !b.Ended:
		fmt.Fprintf(p.ui.status(), " %s  %s  %s\n", image, b.Name, firstLine(b.Text))
	case b.Cached:
		fmt.Fprintf(p.ui.status(), " %s  %s  Cached\n", image, b.Name)
	default:
		fmt.Fprintf(p.ui.status(), " %s  %s  Done  %.1fs\n", image, b.Name, b.Took.Seconds())
	}
}

func (p *plainProgress) Close() {}

// jsonProgress is an object for each event, with the names docker compose gives its fields.
type jsonProgress struct {
	w        io.Writer
	replaced map[string]bool
}

type jsonEvent struct {
	ID      string `json:"id"`
	Parent  string `json:"parent_id,omitempty"`
	Status  string `json:"status"`
	Text    string `json:"text"`
	Details string `json:"details,omitempty"`
	Current int64  `json:"current,omitempty"`
	Total   int64  `json:"total,omitempty"`
	Percent int    `json:"percent,omitempty"`
	Error   string `json:"error,omitempty"`
}

func (p *jsonProgress) Event(e execute.Event) {
	d := e.Step.Describe()
	doing, done := words(e.Step.Action, p.replaced[d.Name])
	out := jsonEvent{ID: object(d), Status: "Working", Text: doing}
	switch e.State {
	case execute.Started:
	case execute.Progressed:
		out.Current, out.Total, out.Details = e.Progress.Done, e.Progress.Total, e.Progress.What
		if out.Total > 0 {
			out.Percent = int(out.Current * 100 / out.Total)
		}
		if e.Progress.Message != "" {
			out.Text = firstLine(e.Progress.Message)
		}
		if e.Progress.Warning != "" {
			out.Status, out.Details = "Warning", e.Progress.Warning
		}
		if b := e.Progress.Build; b != nil {
			out = buildEvent(out.ID, *b)
		}
	case execute.Succeeded:
		out.Status, out.Text, out.Details = "Done", done, reason(e.Step, p.replaced[d.Name])
	case execute.Failed:
		out.Status, out.Text, out.Error = "Error", "Error", e.Err.Error()
	case execute.Skipped:
		out.Status, out.Text = "Warning", "Skipped"
	}
	b, err := json.Marshal(out)
	if err != nil {
		panic(fmt.Sprintf("a progress event does not marshal: %v", err)) // strings and numbers: it always does
	}
	fmt.Fprintf(p.w, "%s\n", b)
}

// buildEvent is an instruction of a build, below its image.
func buildEvent(image string, b pod.BuildStep) jsonEvent {
	e := jsonEvent{ID: b.Name, Parent: image, Status: "Working", Text: b.Text, Details: b.Output}
	switch {
	case b.Cached:
		e.Status, e.Details = "Done", "Cached"
	case b.Ended:
		e.Status, e.Details = "Done", fmt.Sprintf("%.3fs", b.Took.Seconds())
	}
	return e
}

func (p *jsonProgress) Close() {}

// firstLine of a message, as docker compose shows it.
func firstLine(message string) string {
	line, _, _ := strings.Cut(message, "\n")
	return line
}
