package events

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 6000, time.Local)

func sample(n int) Event {
	return Event{Time: start.Add(time.Duration(n) * time.Second), Action: "start", ID: strconv.Itoa(n), Name: "app-1", Service: "app", Image: "busybox"}
}

func TestPrint(t *testing.T) {
	e := sample(0)
	e.Action, e.Attributes = "die", map[string]string{"exitCode": "3", "a": "b"}
	if got, want := e.Text(), "2026-01-02 03:04:05.000006 container die 0 (a=b, exitCode=3, image=busybox, name=app-1)"; got != want {
		t.Errorf("%s", got)
	}
	got, err := e.JSON()
	want := `{"action":"die","attributes":{"a":"b","exitCode":"3","image":"busybox","name":"app-1"},"id":"0","service":"app","time":"` +
		start.Format(time.RFC3339Nano) + `","type":"container"}`
	if err != nil || string(got) != want {
		t.Errorf("%s, %v, want\n%s", got, err, want)
	}
}

func ids(t *testing.T, path string, o Options) string {
	t.Helper()
	var list []string
	err := Read(context.Background(), path, o, func(e Event) error {
		list = append(list, e.ID)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(list, " ")
}

func TestTornLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d", "events")
	for i := range 4 {
		if err := Write(path, sample(i)); err != nil {
			t.Fatal(err)
		}
		f, _ := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		f.WriteString(`{"time":"2026`) // a writer was killed
		f.Close()
	}
	if got := ids(t, path, Options{Since: start}); got != "0 1 2 3" {
		t.Error(got)
	}
	if got := ids(t, path, Options{Since: start.Add(time.Second), Until: start.Add(2 * time.Second)}); got != "1 2" {
		t.Error(got)
	}
	if got := ids(t, path, Options{}); got != "" {
		t.Errorf("without since: %s", got)
	}
}

// Many writers at once lose nothing but what the bound takes, and a follower sees all, across files.
func TestFollow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events")
	const writers, each = 4, 1000
	pad := map[string]string{"pad": strings.Repeat("x", 100)}
	seen, done := map[string]int{}, errors.New("done")
	began := make(chan struct{})
	var once sync.Once
	go func() {
		<-began
		var wait sync.WaitGroup
		for w := range writers {
			wait.Go(func() {
				for i := range each {
					e := sample(w*each + i)
					e.Attributes = pad
					if err := Write(path, e); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wait.Wait()
		Write(path, Event{Action: "end"})
	}()
	Write(path, Event{Action: "begin"})
	err := Read(context.Background(), path, Options{Since: time.Unix(-1e11, 0), Follow: true}, func(e Event) error {
		once.Do(func() { close(began) })
		if e.Action == "end" {
			return done
		}
		seen[e.ID]++
		return nil
	})
	if !errors.Is(err, done) {
		t.Fatal(err)
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("event %s came %d times", id, n)
		}
	}
	for _, p := range []string{path, older(path)} {
		// Who turns the page holds nobody up: the others write on meanwhile, so the bound is soft. They wrote four times as much.
		if st, err := os.Stat(p); err != nil || st.Size() > 2*maxSize {
			t.Errorf("%s: %v, %v", p, st, err)
		}
	}
}

func TestFollowEnds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Read(ctx, path, Options{Follow: true}, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := Read(context.Background(), path, Options{Follow: true, Until: time.Unix(1, 0)}, nil); err != nil {
		t.Error(err)
	}
}
