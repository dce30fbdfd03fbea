package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pcompose/pcompose/cmd/pcompose/ui"
	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/logs"
)

// fakeSource has logs by container, and tells the changes it is given.
type fakeSource struct {
	lines   map[string][]logs.Line
	changes chan pod.ContainerStatus
}

func (f *fakeSource) Watch(context.Context) (<-chan pod.ContainerStatus, error) {
	return f.changes, nil
}

func (f *fakeSource) Logs(ctx context.Context, container string, opt logs.ReadOptions, emit func(logs.Line) error) error {
	for _, l := range f.lines[container] {
		if l.At.Before(opt.Since) {
			continue
		}
		if err := emit(l); err != nil {
			return err
		}
	}
	if !opt.Follow {
		return nil
	}
	select {
	case <-opt.Gone:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func at(n int) time.Time { return time.Unix(1700000000, int64(n)) }

func written(n int, text string) logs.Line { return logs.Line{At: at(n), Text: []byte(text)} }

func status(name string, run pod.Run) pod.ContainerStatus {
	service, _, _ := strings.Cut(strings.TrimPrefix(name, "demo-"), "-")
	return pod.ContainerStatus{Container: pod.Container{Name: name, Service: service, Replica: 1}, Run: run}
}

func display() (*ui.Log, *bytes.Buffer) {
	var out bytes.Buffer
	u := &ui.UI{Out: ui.Output{Writer: &out}, Err: ui.Output{Writer: &out}}
	return u.Log(ui.LogOptions{}), &out
}

func TestPrintLogsMergesByTime(t *testing.T) {
	source := &fakeSource{lines: map[string][]logs.Line{}}
	var containers []pod.ContainerStatus
	for _, name := range []string{"demo-a-1", "demo-b-1", "demo-c-1"} {
		containers = append(containers, status(name, pod.Run{}))
		for i := range 3 * printed {
			source.lines[name] = append(source.lines[name], written(3*i+len(containers), fmt.Sprint(3*i+len(containers))))
		}
	}
	show, out := display()
	if err := (reader{source, "demo", logs.ReadOptions{Tail: -1}, show}).print(t.Context(), containers); err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(got) != 9*printed {
		t.Fatalf("got %d lines", len(got))
	}
	for i, line := range got {
		if !strings.HasSuffix(line, fmt.Sprintf("-1  | %d", i+1)) {
			t.Fatalf("line %d is %q", i+1, line)
		}
	}
}

func TestFollowShowsLastLinesBeforeTheEnd(t *testing.T) {
	source := &fakeSource{
		lines:   map[string][]logs.Line{"demo-a-1": {written(1, "before up"), written(5, "works"), written(6, "done")}, "demo-b-1": {written(7, "hidden")}},
		changes: make(chan pod.ContainerStatus, 10),
	}
	show, out := display()
	var ends []string
	f := &follower{
		reader: reader{source, "demo", logs.ReadOptions{Follow: true, Tail: -1, Since: at(4)}, show},
		tells:  true, now: func() time.Time { return at(100) },
		prints:  func(c pod.ContainerStatus) bool { return c.Service == "a" },
		watches: func(pod.ContainerStatus) bool { return true },
		exits:   func(c pod.ContainerStatus) { ends = append(ends, c.Name) },
	}
	running := pod.Run{State: pod.StateRunning, StartedAt: at(4)}
	source.changes <- status("demo-a-1", pod.Run{State: pod.StateExited, ExitCode: 3, StartedAt: at(4), FinishedAt: at(6)})
	source.changes <- status("demo-b-1", pod.Run{State: pod.StateExited, ExitCode: 0, StartedAt: at(4), FinishedAt: at(8)})
	if err := f.run(t.Context(), []pod.ContainerStatus{status("demo-a-1", running), status("demo-b-1", running)}); err != nil {
		t.Fatal(err)
	}
	if want := "a-1  | works\na-1  | done\na-1 exited with code 3\n"; out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
	if strings.Join(ends, " ") != "demo-a-1 demo-b-1" {
		t.Errorf("ends: %v", ends)
	}
}

// TestFollowAShortRun: a container that had ended before the up, and ran and ended again between two looks at it, has its
// new lines and its new end shown, and nothing of the run before.
func TestFollowAShortRun(t *testing.T) {
	source := &fakeSource{lines: map[string][]logs.Line{"demo-a-1": {written(1, "old"), written(6, "new")}}, changes: make(chan pod.ContainerStatus)}
	show, out := display()
	f := &follower{
		reader: reader{source, "demo", logs.ReadOptions{Follow: true, Tail: -1, Since: at(4)}, show},
		tells:  true, now: func() time.Time { return at(100) }, grown: make(chan []pod.ContainerStatus),
		prints: func(pod.ContainerStatus) bool { return true },
	}
	done := make(chan error, 1)
	before := pod.Run{State: pod.StateExited, StartedAt: at(1), FinishedAt: at(2)}
	go func() { done <- f.run(t.Context(), []pod.ContainerStatus{status("demo-a-1", before)}) }()
	f.grown <- []pod.ContainerStatus{status("demo-a-1", pod.Run{State: pod.StateExited, StartedAt: at(5), FinishedAt: at(7)})}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if want := "a-1  | new\na-1 exited with code 0\n"; out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
}

// TestFollowAGrowingPod: while containers still start, the end of one is not the end, and it is shown before anybody
// is told of it; what an older watch says late is not taken for news.
func TestFollowAGrowingPod(t *testing.T) {
	source := &fakeSource{lines: map[string][]logs.Line{"demo-a-1": {written(5, "migrates")}, "demo-b-1": {written(8, "serves")}}}
	show, out := display()
	g := newGrowing(source)
	ends := make(chan string, 2)
	f := &follower{
		reader: reader{g, "demo", logs.ReadOptions{Follow: true, Tail: -1}, show}, tells: true, now: func() time.Time { return at(100) },
		grown:  make(chan []pod.ContainerStatus),
		prints: func(pod.ContainerStatus) bool { return true },
		exits:  func(c pod.ContainerStatus) { ends <- out.String() },
	}
	done := make(chan error, 1)
	go func() { done <- f.run(t.Context(), nil) }()
	changes := make(chan pod.ContainerStatus)
	source.changes = changes
	g.look()
	migrates, ran := pod.Run{State: pod.StateRunning, StartedAt: at(4)}, pod.Run{State: pod.StateExited, StartedAt: at(4), FinishedAt: at(6)}
	changes <- status("demo-a-1", migrates)
	changes <- status("demo-a-1", ran)
	if got := <-ends; got != "a-1  | migrates\na-1 exited with code 0\n" {
		t.Errorf("at the first end is shown %q", got)
	}
	g.settle()
	serves := pod.Run{State: pod.StateRunning, StartedAt: at(7)}
	f.grown <- []pod.ContainerStatus{status("demo-a-1", ran), status("demo-b-1", serves)}
	changes <- status("demo-b-1", pod.Run{State: pod.StateCreated})
	changes <- status("demo-a-1", migrates)
	changes <- status("demo-b-1", serves)
	changes <- status("demo-b-1", pod.Run{State: pod.StateExited, ExitCode: 2, StartedAt: at(7), FinishedAt: at(9)})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if want := "a-1  | migrates\na-1 exited with code 0\nb-1  | serves\nb-1 exited with code 2\n"; out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
}

func TestGrowingEndsWhenLeft(t *testing.T) {
	g := newGrowing(&fakeSource{})
	changes, err := g.Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	g.leave()
	if _, open := <-changes; open {
		t.Error("a change of a pod that does not change")
	}
}

func TestFollowTellsRestartsAndGoesOn(t *testing.T) {
	source := &fakeSource{changes: make(chan pod.ContainerStatus, 10)}
	show, out := display()
	all := func(pod.ContainerStatus) bool { return true }
	f := &follower{reader: reader{source, "demo", logs.ReadOptions{Follow: true}, show}, tells: true, now: func() time.Time { return at(100) }, prints: all}
	source.changes <- status("demo-a-1", pod.Run{State: pod.StateRestarting, ExitCode: 1, FinishedAt: at(5)})
	source.changes <- status("demo-a-1", pod.Run{State: pod.StateRestarting, ExitCode: 1, Restarts: 1, FinishedAt: at(5)})
	source.changes <- status("demo-a-1", pod.Run{State: pod.StateRunning, Restarts: 1})
	source.changes <- status("demo-a-1", pod.Run{State: pod.StateRestarting, ExitCode: 2, Restarts: 1, FinishedAt: at(7)})
	source.changes <- status("demo-a-1", pod.Run{State: pod.StateRestarting, ExitCode: 2, Restarts: 2, FinishedAt: at(7)})
	source.changes <- status("demo-a-1", pod.Run{State: pod.StateRunning, Restarts: 2})
	source.changes <- status("demo-a-1", pod.Run{State: pod.StateExited, ExitCode: 0, Restarts: 2, FinishedAt: at(9)})
	if err := f.run(t.Context(), []pod.ContainerStatus{status("demo-a-1", pod.Run{State: pod.StateRunning})}); err != nil {
		t.Fatal(err)
	}
	want := "a-1 exited with code 1 (restarting)\na-1 exited with code 2 (restarting)\na-1 exited with code 0\n"
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
}

func TestFollowEndsWithThePodAndWithItsContext(t *testing.T) {
	all := func(pod.ContainerStatus) bool { return true }
	running := []pod.ContainerStatus{status("demo-a-1", pod.Run{State: pod.StateRunning})}
	source := &fakeSource{changes: make(chan pod.ContainerStatus)}
	show, _ := display()
	close(source.changes)
	f := &follower{reader: reader{source, "demo", logs.ReadOptions{Follow: true}, show}, now: time.Now, prints: all}
	if err := f.run(t.Context(), running); err != nil {
		t.Errorf("the pod is gone: %v", err)
	}
	source.changes = make(chan pod.ContainerStatus)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(interrupted{2})
	f = &follower{reader: reader{source, "demo", logs.ReadOptions{Follow: true}, show}, now: time.Now, prints: all}
	if err := f.run(ctx, running); !errors.Is(err, interrupted{2}) {
		t.Errorf("got %v", err)
	}
}
