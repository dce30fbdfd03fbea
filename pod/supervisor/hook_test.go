package supervisor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/control"
)

func (f *fixture) hook(id string, point control.Point, index int, line string) control.Request {
	return control.Request{Hook: &control.Hook{ID: id, Point: point, Index: index, Process: f.processJSON([]string{"sh", "-c", line})}}
}

// TestHook: a hook's output is in the log, the hooks that ended well are counted, across supervisors, until the next start
// by a user.
func TestHook(t *testing.T) {
	f := newPod(t)
	id := f.start(pod.Container{}, "sleep 1000")
	if reply := f.want(f.hook(id, control.PostStart, 0, "echo out; echo err >&2; printf end")); reply.ExitCode != 0 || f.run(id).PostStarted != 1 {
		t.Errorf("%+v, %d", reply, f.run(id).PostStarted)
	}
	f.wantLines(id, "out", "err", "end")
	if reply := f.want(f.hook(id, control.PostStart, 1, "exit 3")); reply.ExitCode != 3 || f.run(id).PostStarted != 1 {
		t.Errorf("%+v, %d", reply, f.run(id).PostStarted)
	}
	f.kill()
	f.want(f.hook(id, control.PostStart, 1, "true"))
	f.want(f.hook(id, control.PreStop, 2, "echo bye"))
	if n := f.run(id).PostStarted; n != 2 {
		t.Errorf("%d hooks are done", n)
	}
	f.wantLines(id, "out", "err", "end", "bye")

	f.want(stop(id, 0))
	f.want(f.hook(id, control.PreStop, 0, "echo never"))
	f.wantError(f.hook(id, control.PostStart, 0, "echo never"), "not running")
	f.want(start(id))
	if n := f.run(id).PostStarted; n != 0 {
		t.Errorf("%d hooks are done after a start", n)
	}
	f.wantLines(id, "out", "err", "end", "bye")
	f.want(stop(id, 0))
}

// TestHookOnce: a hook that runs is not run again for who asks while it does, and one that takes too long is killed.
func TestHookOnce(t *testing.T) {
	f := newPod(t)
	f.must(unix.Mkfifo(filepath.Join(f.dir, "gate"), 0o600))
	gate, err := os.OpenFile(filepath.Join(f.dir, "gate"), os.O_RDWR, 0)
	f.must(err)
	defer gate.Close()
	id := f.start(pod.Container{}, "sleep 1000")
	req := f.hook(id, control.PostStart, 0, `echo once; read -r _ < "$DIR/gate"`)
	gone, err := control.Dial(f.ctx, f.dir) // a client that is killed while it waits
	f.must(err)
	f.must(gone.Send(req))
	f.said(id, "once")
	gone.Close()
	again := f.later(req)
	for range 50 { // round trips, in which the second client is heard too
		f.want(control.Request{Status: &struct{}{}})
	}
	_, err = gate.WriteString("on\n")
	f.must(err)
	f.until(id, func(r pod.Run) bool { return r.PostStarted == 1 })
	if reply := <-again; reply.Error != "" || reply.ExitCode != 0 {
		t.Errorf("who asks again is told %+v", reply)
	}
	f.want(req) // of a client whose plan is older than the hook's end
	f.wantLines(id, "once")

	slow := f.hook(id, control.PreStop, 0, "echo slow; exec sleep 2000")
	slow.Hook.Within = 100 * time.Millisecond
	f.wantError(slow, "it took longer than 100ms")
	f.want(stop(id, 0))
	for _, p := range f.processes() {
		if strings.Contains(p, "sleep 2000") {
			t.Errorf("%s lives", p)
		}
	}
}
