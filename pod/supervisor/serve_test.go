package supervisor

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/control"
)

// TestWatch: whoever watches sees the last state; one who reads nothing holds up nobody.
func TestWatch(t *testing.T) {
	f := newPod(t)
	slow, err := control.Dial(f.ctx, f.dir)
	f.must(err)
	defer slow.Close()
	f.must(slow.Send(control.Request{Watch: &struct{}{}}))
	id := f.bundle(pod.Container{}, "read -r _ < \"$DIR/gate\"; exit 3")
	f.must(unix.Mkfifo(filepath.Join(f.dir, "gate"), 0o600))
	gate, err := os.OpenFile(filepath.Join(f.dir, "gate"), os.O_RDWR, 0)
	f.must(err)
	defer gate.Close()
	fast, err := control.Dial(f.ctx, f.dir)
	f.must(err)
	defer fast.Close()
	defer fast.CloseOn(f.ctx)()
	f.must(fast.Send(control.Request{Watch: &struct{}{}}))
	next := func(want pod.State) {
		t.Helper()
		for {
			var reply control.Reply
			if _, err := fast.Receive(&reply); err != nil {
				t.Fatalf("waiting for %s: %v", want, err)
			}
			if find(reply, id).State == want {
				return
			}
		}
	}
	for range 3 {
		f.later(start(id))
		next(pod.StateStarting)
		next(pod.StateRunning)
		_, err = gate.WriteString("on\n")
		f.must(err)
		next(pod.StateExited)
	}
	// Far more changes than a socket holds.
	for range 300 {
		f.wantError(start(f.bundleArgv(pod.Container{}, "pct-nosuch")), "not found")
	}
	f.want(control.Request{Status: &struct{}{}})
}

// TestGarbage: whatever comes over the socket, the supervisor answers the next, the same one.
func TestGarbage(t *testing.T) {
	f := newPod(t)
	before := f.supervisor()
	noise := make([]byte, 4096)
	rand.Read(noise)
	frame := func(body string) []byte {
		return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
	}
	for _, message := range [][]byte{
		nil, {0}, {0, 0, 0, 9}, {255, 255, 255, 255}, noise, frame(""), frame("{"), frame("null"), frame("[1]"),
		frame(`{"Start":{}}`), frame(`{"Start":{"ID":"../.."}}`), frame(`{"Wait":{"ID":"."}}`), frame(`{"Exec":{}}`),
		frame(`{"Exec":{"ID":"x","Process":"AAAA"}}`), frame(`{"Forget":{"ID":""}}`), frame(`{"Update":{"ID":"/"}}`),
		append(frame(`{"Status":{}}`), noise...),
	} {
		c, err := net.Dial("unix", filepath.Join(f.dir, control.Socket))
		f.must(err)
		_, _ = c.Write(message) // it may have hung up by now
		c.Close()
	}
	// Files that nobody asked for.
	for range 40 {
		conn, err := control.Dial(f.ctx, f.dir)
		f.must(err)
		f.must(conn.Send(control.Request{Stop: &control.Stop{ID: "x"}}, os.Stdin, os.Stderr))
		var reply control.Reply
		_, err = conn.Receive(&reply)
		f.must(err)
		conn.Close()
	}
	if after := f.supervisor(); after != before {
		t.Errorf("supervisor %d became %d", before, after)
	}
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", before))
	f.must(err)
	if len(fds) > 40 {
		t.Errorf("%d descriptors", len(fds))
	}
}

// TestManyAtOnce: requests of many clients at once, on containers of their own.
func TestManyAtOnce(t *testing.T) {
	f := newPod(t)
	ids := make([]string, 8)
	for i := range ids {
		ids[i] = f.bundle(pod.Container{Name: fmt.Sprint("web", i)}, fmt.Sprintf("echo %d; exit %d", i, i))
	}
	var all sync.WaitGroup
	for i, id := range ids {
		all.Go(func() {
			for _, req := range []control.Request{start(id), wait(id, ""), start(id), stop(id, 0), start(id), wait(id, "")} {
				reply, err := f.try(req)
				if err != nil || reply.Error != "" {
					t.Errorf("web%d: %+v, %v", i, reply, err)
				}
				if req.Wait != nil && reply.ExitCode != i && reply.ExitCode != 137 {
					t.Errorf("web%d: exit code %d", i, reply.ExitCode)
				}
			}
		})
	}
	all.Wait()
}

// TestOtherUser: a user who is let into the directory and to the socket is refused all the same.
func TestOtherUser(t *testing.T) {
	f := newPod(t)
	const python = "/usr/bin/python3" // what is first in PATH may be another user's secret
	if _, err := os.Stat(python); err != nil {
		t.Skip("SKIPPED: no python3 to connect as another user")
	}
	socket := filepath.Join(f.dir, control.Socket)
	for dir := f.dir; dir != filepath.Dir(os.TempDir()) && dir != "/"; dir = filepath.Dir(dir) {
		if dir != os.TempDir() {
			f.must(os.Chmod(dir, 0o711))
		}
	}
	f.must(os.Chmod(socket, 0o666))
	ask := func(uid uint32) string {
		cmd := exec.Command(python, "-c", `
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(20)
s.connect(sys.argv[1])
try:
    s.sendall(b'\0\0\0\x0d{"Status":{}}')
    print(len(s.recv(4)))
except ConnectionError:
    print(0)`, socket)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	if got := ask(0); got != "4\n" {
		t.Errorf("root is told %q", got)
	}
	if got := ask(65534); got != "0\n" {
		t.Errorf("nobody is told %q", got)
	}
}

// TestShutdown: it ends everything, whatever it is at; a wait ends with it.
func TestShutdown(t *testing.T) {
	f := newPod(t)
	deaf := `trap "" TERM; while :; do sleep 0.01; done`
	ids := []string{f.start(pod.Container{}, deaf), f.start(pod.Container{Restart: pod.Restart{Policy: pod.RestartAlways}}, "exit 1")}
	ids = append(ids, f.bundle(pod.Container{}, "exit 0"))
	ended := f.later(wait(ids[2], "")) // of one that never runs
	for f.run(ids[2]).State != pod.StateCreated {
	}
	if reply := f.want(control.Request{Shutdown: &struct{}{}}); reply.Error != "" {
		t.Error(reply.Error)
	}
	select {
	case reply := <-ended:
		if reply.Error == "" {
			t.Errorf("%+v", reply)
		}
	case <-time.After(patience):
		t.Error("the wait does not end")
	}
}
