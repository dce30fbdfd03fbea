package ui

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pcompose/pcompose/engine/execute"
	"github.com/pcompose/pcompose/planner"
	"github.com/pcompose/pcompose/pod"
)

// clock goes on by a second each time it is read.
type clock struct{ now time.Time }

func (c *clock) read() time.Time {
	c.now = c.now.Add(time.Second)
	return c.now
}

func testUI(mode Mode) (*UI, *bytes.Buffer, *bytes.Buffer) {
	var out, err bytes.Buffer
	c := &clock{time.Unix(1700000000, 0)}
	return &UI{In: strings.NewReader(""), Out: Output{Writer: &out}, Err: Output{Writer: &err}, Mode: mode, Now: c.read}, &out, &err
}

// story is a replacement that succeeds, a pull that fails and a start that is skipped for it.
func story() (*planner.Plan, []execute.Event) {
	plan := &planner.Plan{Project: "demo", Steps: []planner.Step{
		{ID: 1, Action: planner.StopContainer{Name: "demo-web-1"}, Why: "environment LOG_LEVEL changed"},
		{ID: 2, Action: planner.RemoveContainer{Name: "demo-web-1"}, Why: "environment LOG_LEVEL changed"},
		{ID: 3, Action: planner.CreateContainer{Container: pod.Container{Name: "demo-web-1"}}, Why: "environment LOG_LEVEL changed"},
		{ID: 4, Action: planner.StartContainer{Name: "demo-web-1"}, Why: "created"},
		{ID: 5, Action: planner.PullImage{Image: "redis:7"}, Why: "not in the store"},
		{ID: 6, Action: planner.StartContainer{Name: "demo-db-1"}, Why: "created"},
	}}
	s := plan.Steps
	var events []execute.Event
	for _, step := range s[:4] {
		events = append(events, execute.Event{Step: step, State: execute.Started}, execute.Event{Step: step, State: execute.Succeeded})
	}
	return plan, append(events,
		execute.Event{Step: s[4], State: execute.Started},
		execute.Event{Step: s[4], State: execute.Progressed, Progress: execute.Progress{Done: 5e6, Total: 2e7, What: "sha256:1"}},
		execute.Event{Step: s[4], State: execute.Progressed, Progress: execute.Progress{Warning: "the registry is slow"}},
		execute.Event{Step: s[4], State: execute.Failed, Err: errors.New("cannot pull image \"redis:7\": no route")},
		execute.Event{Step: s[5], State: execute.Skipped},
	)
}

func show(mode Mode, change func(*UI)) string {
	u, _, err := testUI(mode)
	if change != nil {
		change(u)
	}
	plan, events := story()
	p := u.Progress(plan)
	for _, e := range events {
		p.Event(e)
	}
	p.Close()
	return err.String()
}

func TestProgressPlain(t *testing.T) {
	want := ` Container demo-web-1  Stopping
 Container demo-web-1  Stopped
 Container demo-web-1  Removing
 Container demo-web-1  Removed
 Container demo-web-1  Recreating
 Container demo-web-1  Recreated  environment LOG_LEVEL changed
 Container demo-web-1  Starting
 Container demo-web-1  Started
 Image redis:7  Pulling
warning: the registry is slow
 Image redis:7  Error
 Container demo-db-1  Skipped
`
	if got := show(Plain, nil); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestProgressPlainSaysErrorOnly: a container whose start failed is not said to be skipped for what comes after.
func TestProgressPlainSaysErrorOnly(t *testing.T) {
	u, _, err := testUI(Plain)
	plan := &planner.Plan{Steps: []planner.Step{
		{ID: 1, Action: planner.StartContainer{Name: "demo-web-1"}},
		{ID: 2, Action: planner.WaitContainer{Name: "demo-web-1", Until: pod.UntilHealthy}, After: []int{1}},
	}}
	p := u.Progress(plan)
	p.Event(execute.Event{Step: plan.Steps[0], State: execute.Failed, Err: errors.New("no such program")})
	p.Event(execute.Event{Step: plan.Steps[1], State: execute.Skipped})
	if got, want := err.String(), " Container demo-web-1  Error\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestBesideStopsRedrawing: from the first start on a terminal is written line by line, since logs come between.
func TestBesideStopsRedrawing(t *testing.T) {
	u, _, err := testUI(TTY)
	u.Err.Size = func() (int, int) { return 80, 24 }
	plan, events := story()
	p := u.Beside(plan)
	for _, e := range events {
		p.Event(e)
	}
	p.Close()
	last := err.String()[strings.LastIndex(err.String(), "\x1b[J")+3:]
	want := " Container demo-web-1  Starting\n Container demo-web-1  Started\n Image redis:7  Pulling\nwarning: the registry is slow\n" +
		" Image redis:7  Error\n Container demo-db-1  Skipped\n"
	if last != want {
		t.Errorf("got\n%q\nwant\n%q", last, want)
	}
}

func TestProgressQuietShowsWarningsOnly(t *testing.T) {
	if got := show(Quiet, nil); got != "warning: the registry is slow\n" {
		t.Errorf("got %q", got)
	}
}

func TestProgressJSON(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(show(JSON, nil)), "\n")
	for i, want := range map[int]string{
		0:  `{"id":"Container demo-web-1","status":"Working","text":"Stopping"}`,
		5:  `{"id":"Container demo-web-1","status":"Done","text":"Recreated","details":"environment LOG_LEVEL changed"}`,
		9:  `{"id":"Image redis:7","status":"Working","text":"Pulling","details":"sha256:1","current":5000000,"total":20000000,"percent":25}`,
		10: `{"id":"Image redis:7","status":"Warning","text":"Pulling","details":"the registry is slow"}`,
		11: `{"id":"Image redis:7","status":"Error","text":"Error","error":"cannot pull image \"redis:7\": no route"}`,
		12: `{"id":"Container demo-db-1","status":"Warning","text":"Skipped"}`,
	} {
		if lines[i] != want {
			t.Errorf("line %d:\n got %s\nwant %s", i, lines[i], want)
		}
	}
}

// screen is what a terminal shows after output with the few sequences that live progress writes.
func screen(t *testing.T, output string) []string {
	t.Helper()
	lines, y := []string{""}, 0
	for len(output) > 0 {
		if seq, rest, ok := strings.Cut(output, "\x1b["); ok && seq == "" {
			n := strings.IndexFunc(rest, func(r rune) bool { return r >= 'A' && r <= 'Z' || r == 'm' })
			switch rest[n] {
			case 'A':
				up := 0
				for _, d := range rest[:n] {
					up = up*10 + int(d-'0')
				}
				if y -= up; y < 0 {
					t.Fatalf("the cursor leaves the screen at the top")
				}
			case 'J':
				lines = lines[:y+1]
				lines[y] = ""
			case 'K', 'm':
			default:
				t.Fatalf("unexpected sequence %q", rest[:n+1])
			}
			output = rest[n+1:]
			continue
		}
		switch output[0] {
		case '\n':
			if y++; y == len(lines) {
				lines = append(lines, "")
			}
			output = output[1:]
		case '\r':
			output = output[1:]
		default:
			end := strings.IndexAny(output, "\n\r\x1b")
			if end < 0 {
				end = len(output)
			}
			lines[y], output = output[:end], output[end:]
		}
	}
	return lines
}

func TestProgressTTY(t *testing.T) {
	got := strings.Join(screen(t, show(TTY, func(u *UI) {
		u.Err.Size = func() (int, int) { return 80, 24 }
	})), "\n")
	want := `warning: the registry is slow
[+] Running 6/6
 ✔ Container demo-web-1  Started  environment LOG_LEVEL changed  26.0s
 ✘ Image redis:7         Error    10.0s
 - Container demo-db-1   Skipped  1.0s
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestProgressTTYFitsTheScreen(t *testing.T) {
	for columns := 30; columns < 90; columns += 7 {
		text := show(TTY, func(u *UI) {
			u.Err.Size = func() (int, int) { return columns, 4 }
		})
		frames := strings.Split(text, "\x1b[J")
		for _, frame := range frames {
			lines := strings.Split(strings.ReplaceAll(frame, "\x1b[K", ""), "\n")
			for _, line := range lines {
				if i := strings.LastIndex(line, "\r"); i >= 0 {
					line = line[i+1:]
				}
				if width(line) > columns && !strings.HasPrefix(line, "warning:") {
					t.Errorf("%d columns: line of %d: %q", columns, width(line), line)
				}
			}
			if len(lines) > 5 { // a message, a head, two rows, the end
				t.Errorf("%d lines on a screen of 4:\n%s", len(lines)-1, frame)
			}
		}
	}
}
