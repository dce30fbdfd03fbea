package watch

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pcompose/pcompose/planner/trigger"
	"github.com/pcompose/pcompose/pod"
)

// diary is a Doer that notes what it is told to do, and when since it began.
type diary struct {
	begun time.Time
	// takes is how long an Act lasts.
	takes time.Duration
	mu    sync.Mutex
	lines []string
}

func (d *diary) note(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf("%d ", time.Since(d.begun).Milliseconds())+fmt.Sprintf(format, args...))
}

func (d *diary) Sync(_ context.Context, s trigger.Sync) {
	var targets []string
	for _, f := range s.Files {
		targets = append(targets, f.Target)
	}
	d.note("sync %s %s", s.Service, strings.Join(targets, " "))
}

func (d *diary) Act(ctx context.Context, a trigger.Actions) {
	d.note("act rebuild%v restart%v exec%d", a.Rebuild, a.Restart, len(a.Exec))
	select {
	case <-time.After(d.takes):
		d.note("acted")
	case <-ctx.Done():
		d.note("interrupted")
	}
}

// TestRound follows what is done of changes that come at given times, in milliseconds.
func TestRound(t *testing.T) {
	set, err := trigger.New([]pod.Trigger{
		{Service: "web", Path: "/src", Dir: true, Action: pod.TriggerSync, Target: "/app"},
		{Service: "web", Index: 1, Path: "/conf", Dir: true, Action: pod.TriggerRestart},
		{Service: "web", Index: 2, Path: "/lock", Action: pod.TriggerRebuild},
		{Service: "db", Path: "/sql", Dir: true, Action: pod.TriggerSyncExec, Target: "/sql"},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name    string
		changes string
		want    []string
	}{
		{"one save", "0 /src/a", []string{"15 sync web /app/a", "done 0"}},
		{"a burst is one", "0 /src/a,5 /src/b,10 /src/a", []string{"25 sync web /app/a /app/b", "done 0"}},
		{"a long burst goes in parts", "0 /src/a,12 /src/b,24 /src/c,36 /src/d,48 /src/e,60 /src/f,72 /src/g,84 /src/h,96 /src/i", []string{
			"100 sync web /app/a /app/b /app/c /app/d /app/e /app/f /app/g /app/h /app/i", "done 0"}},
		{"saves with the formatter's are one restart", "0 /conf/a,120 /conf/a,240 /conf/b", []string{
			"455 act rebuild[] restart[web] exec0", "1455 acted", "done 0"}},
		{"files are there before the command runs", "0 /sql/1", []string{
			"15 sync db /sql/1", "215 act rebuild[] restart[] exec1", "1215 acted", "done 0"}},
		{"a rebuild is no restart too", "0 /conf/a,1 /lock", []string{"216 act rebuild[web] restart[] exec0", "1216 acted", "done 0"}},
		{"what comes meanwhile is done next", "0 /conf/a,500 /conf/b,600 /src/x", []string{
			"215 act rebuild[] restart[web] exec0", "615 sync web /app/x", "1215 acted", "1415 act rebuild[] restart[web] exec0", "2415 acted", "done 0"}},
		{"what was brought into a container that is replaced is brought in again", "0 /lock,500 /src/x", []string{
			"215 act rebuild[web] restart[] exec0", "515 sync web /app/x", "1215 acted", "1215 sync web /app/x", "done 0"}},
		{"the end interrupts", "0 /conf/a,400 end", []string{"215 act rebuild[] restart[web] exec0", "400 interrupted"}},
		{"what concerns nobody", "0 /else,50 /src/.git/x,60 /src/a~", []string{"done 0", "done 50"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &diary{begun: time.Now(), takes: time.Second}
				dealt := []string{}
				w := &Watch{set: set, do: d, done: func(at time.Time) {
					if line := fmt.Sprintf("done %d", at.Add(late).Sub(d.begun).Milliseconds()); !slices.Contains(dealt, line) {
						dealt = append(dealt, line)
					}
				}}
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				changes, ended := make(chan []string), make(chan struct{})
				go func() {
					defer close(ended)
					r := newRound(w)
					defer r.stop()
					_ = r.run(ctx, changes)
				}()
				for change := range strings.SplitSeq(test.changes, ",") {
					var at int
					var path string
					fmt.Sscan(change, &at, &path)
					time.Sleep(time.Until(d.begun.Add(time.Duration(at) * time.Millisecond)))
					if path == "end" {
						cancel()
						break
					}
					changes <- []string{path}
				}
				if ctx.Err() == nil {
					time.Sleep(10 * time.Second)
				}
				close(changes)
				<-ended
				if got := append(d.lines, dealt...); !slices.Equal(got, test.want) {
					t.Errorf("did\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
				}
			})
		})
	}
}
