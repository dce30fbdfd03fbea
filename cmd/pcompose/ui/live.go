package ui

import (
	"cmp"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/docker/go-units"
	"github.com/pcompose/pcompose/engine/execute"
	"github.com/pcompose/pcompose/planner"
	"github.com/pcompose/pcompose/pod"
)

// redraw bounds how often events redraw: faster than the eye follows only costs time.
const redraw = 40 * time.Millisecond

// live is progress that is redrawn in place, a row an object. Each frame is one write, and only the ends of lines
// are erased, so that nothing flickers.
type live struct {
	ui       *UI
	replaced map[string]bool
	steps    int

	mu    sync.Mutex
	rows  []*row
	byID  map[string]*row
	ended int
	// height is the number of lines of the frame on the screen.
	height int
	drawn  time.Time
	frame  int
	quit   chan struct{}
	gone   chan struct{}
}

// row is one object: what was last heard of it.
type row struct {
	name, status, why string
	state             execute.State
	begun, ended      time.Time
	// active counts the object's steps that run.
	active int
	parts  map[string]execute.Progress
	// doing is the instruction of a build that is at work.
	doing string
}

func newLive(u *UI, plan *planner.Plan) *live {
	l := &live{ui: u, replaced: replaced(plan), steps: len(plan.Steps), byID: map[string]*row{}}
	if u.Tick > 0 {
		l.quit, l.gone = make(chan struct{}), make(chan struct{})
		go l.spin()
	}
	return l
}

// spin redraws while nothing happens, for the spinner and the clocks.
func (l *live) spin() {
	defer close(l.gone)
	tick := time.NewTicker(l.ui.Tick)
	defer tick.Stop()
	for {
		select {
		case <-l.quit:
			return
		case <-tick.C:
			l.mu.Lock()
			l.frame++
			l.draw("")
			l.mu.Unlock()
		}
	}
}

func (l *live) Event(e execute.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.Progress.Warning != "" {
		l.draw(l.ui.warning(e.Progress.Warning))
		return
	}
	l.note(e)
	if l.ui.Now().Sub(l.drawn) >= redraw {
		l.draw("")
	}
}

// note takes an event over into its object's row.
func (l *live) note(e execute.Event) {
	d := e.Step.Describe()
	r := l.byID[d.Object()]
	if r == nil {
		r = &row{name: object(d), begun: l.ui.Now(), parts: map[string]execute.Progress{}}
		l.byID[d.Object()] = r
		l.rows = append(l.rows, r)
	}
	if e.Progress.Message != "" {
		r.status = firstLine(e.Progress.Message)
		return
	}
	if b := e.Progress.Build; b != nil {
		r.built(*b)
		return
	}
	if e.State == execute.Progressed {
		r.parts[e.Progress.What] = e.Progress
		return
	}
	r.ended = l.ui.Now()
	doing, done := words(e.Step.Action, l.replaced[d.Name])
	switch e.State {
	case execute.Started:
		r.active++
		r.status, r.state = doing, e.State
		return
	case execute.Succeeded:
		r.active--
		r.status = done
		if why := reason(e.Step, l.replaced[d.Name]); why != "" {
			r.why = why
		}
	case execute.Failed:
		r.active--
		r.status = "Error"
	case execute.Skipped:
		if r.state != execute.Failed {
			r.status = "Skipped"
		}
	}
	l.ended++
	if r.state != execute.Failed {
		r.state = e.State
	}
}

// built takes over what an instruction of a build does: it shows behind the image, with the last line that it printed.
func (r *row) built(b pod.BuildStep) {
	switch {
	case b.Output != "":
		r.doing = b.Name + " " + firstLine(b.Text) + ": " + b.Output
	case !b.Ended:
		r.doing = b.Name + " " + firstLine(b.Text)
	}
}

// draw writes the frame over the last one, and a message above it, which stays.
func (l *live) draw(message string) {
	l.drawn = l.ui.Now()
	columns, height := 0, 0
	if l.ui.status().Size != nil {
		columns, height = l.ui.status().Size()
	}
	var b strings.Builder
	if l.height > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\r", l.height)
	}
	if message != "" {
		b.WriteString(message + "\x1b[K\n")
	}
	lines := l.lines(columns, height)
	for _, line := range lines {
		b.WriteString(line + "\x1b[K\n")
	}
	// A frame that became shorter, or a message above it, leaves old lines below.
	b.WriteString("\x1b[J")
	l.height = len(lines)
	fmt.Fprint(l.ui.status(), b.String())
}

// lines are the frame: a head, and as many rows as the screen has, those that run first.
func (l *live) lines(columns, height int) []string {
	if len(l.rows) == 0 {
		return nil
	}
	shown := l.rows
	if height > 3 && len(shown) > height-2 {
		shown = l.fitting(height - 2)
	}
	nameWidth, statusWidth := 0, 0
	for _, r := range shown {
		nameWidth, statusWidth = max(nameWidth, width(r.name)), max(statusWidth, width(r.status))
	}
	head := fmt.Sprintf("[+] Running %d/%d", l.ended, l.steps)
	lines := []string{paint(l.ui.status().Colour && l.ended == l.steps, blue, cut(head, columns))}
	for _, r := range shown {
		lines = append(lines, l.line(r, nameWidth, statusWidth, columns))
	}
	return lines
}

// fitting are the n rows worth showing: the unfinished first, then the newest, in their order.
func (l *live) fitting(n int) []*row {
	keep := map[*row]bool{}
	for pass := range 2 {
		for i := len(l.rows) - 1; i >= 0 && len(keep) < n; i-- {
			if r := l.rows[i]; pass == 1 || r.active > 0 || r.state == execute.Failed {
				keep[r] = true
			}
		}
	}
	var rows []*row
	for _, r := range l.rows {
		if keep[r] {
			rows = append(rows, r)
		}
	}
	return rows
}

func (l *live) line(r *row, nameWidth, statusWidth, columns int) string {
	mark, c, end := "✔", green, r.ended
	switch {
	case r.state == execute.Failed:
		mark, c = "✘", red
	case r.active > 0:
		spinner := []rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")
		mark, c, end = string(spinner[l.frame%len(spinner)]), blue, l.ui.Now()
	case r.state == execute.Skipped:
		mark, c = "-", yellow
	}
	took := fmt.Sprintf("%.1fs", end.Sub(r.begun).Seconds())
	detail := r.why
	if r.active > 0 {
		detail = cmp.Or(received(r.parts), r.doing)
	}
	text := fmt.Sprintf(" %s  %s", pad(r.name, nameWidth), pad(r.status, statusWidth))
	// The clock is the last thing to go on a narrow screen, the reason the first.
	room := columns - width(text) - width(took) - 4
	if columns == 0 {
		room = len(detail) + 2
	}
	switch {
	case detail == "":
	case room > 12:
		detail = "  " + cut(detail, room-2)
	default:
		detail = ""
	}
	if columns > 0 {
		text = cut(text, columns-2-width(took)-2)
	}
	on := l.ui.status().Colour
	return " " + paint(on, c, mark) + text + paint(on, dim, detail) + "  " + paint(on, blue, took)
}

// received is how much of an object has come, of all its parts together; "" where nothing is known.
func received(parts map[string]execute.Progress) string {
	var done, total int64
	for _, p := range parts {
		done, total = done+p.Done, total+p.Total
	}
	switch {
	case total > 0:
		return units.HumanSize(float64(done)) + " / " + units.HumanSize(float64(total))
	case done > 0:
		return units.HumanSize(float64(done))
	}
	return ""
}

func (l *live) Close() {
	if l.quit != nil {
		close(l.quit)
		<-l.gone
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.draw("")
}
