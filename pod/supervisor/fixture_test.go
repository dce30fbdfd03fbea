package supervisor

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/control"
	"github.com/pcompose/pcompose/pod/keeper"
	"github.com/pcompose/pcompose/pod/logs"
)

// patience bounds every wait for something that happens at once unless it is broken.
const patience = 20 * time.Second

// fixture is a pod with a real keeper and a real supervisor.
type fixture struct {
	*testing.T
	dir string
	ctx context.Context
}

// newPod starts a pod. Its end must leave no process.
func newPod(t *testing.T) *fixture {
	t.Helper()
	if os.Getenv(insideVar) == "" {
		t.Skip("SKIPPED: needs root to make network namespaces")
	}
	f := &fixture{T: t, dir: t.TempDir()}
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	t.Cleanup(cancel)
	f.ctx = ctx
	program := filepath.Join(f.dir, "pct-runtime")
	exe, err := os.Executable()
	f.must(err)
	f.must(os.Symlink(exe, program))
	f.must(os.Mkdir(filepath.Join(f.dir, "containers"), 0o700))
	f.must(control.WritePod(f.dir, control.Pod{
		Name: "pct", ID: "pct" + newID()[:7], Topology: pod.Topology{Cells: []pod.Cell{{Name: pod.DefaultCell}}},
		Runtime: program, RuntimeKind: "runc", LockFile: filepath.Join(f.dir, "addresses.lock"),
	}))
	f.keep()
	t.Cleanup(f.end)
	return f
}

func (f *fixture) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

func newID() string {
	b := make([]byte, 32)
	rand.Read(b)
	return hex.EncodeToString(b)
}

// keep starts a keeper, as the first `up` does, or one after the keeper was killed.
func (f *fixture) keep() {
	f.Helper()
	socket, err := control.Listen(f.dir)
	f.must(err)
	defer socket.Close()
	_, err = keeper.Start(f.ctx, keeper.Config{
		Dir: f.dir, Supervisor: []string{"pct-supervisor", f.dir}, Socket: socket, Steady: time.Millisecond,
		Env: []string{"PATH=" + os.Getenv("PATH"), "PCT_POD=" + f.dir},
	})
	f.must(err)
}

// end shuts the pod down; nothing of it may be left.
func (f *fixture) end() {
	f.ctx = context.Background() // the test's own has ended
	pid, alive := keeper.Find(f.dir)
	if alive {
		for alive { // a supervisor that a test killed, or has shut down, does not answer
			reply, err := f.try(control.Request{Shutdown: &struct{}{}})
			if reply.Error != "" {
				f.Errorf("shutdown: %s", reply.Error)
			}
			if err == nil {
				break
			}
			_, alive = keeper.Find(f.dir)
		}
		f.gone(pid)
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) { // the supervisor ends after its keeper
		left := f.processes()
		if len(left) == 0 {
			break
		}
		if time.Now().After(deadline) {
			f.Errorf("the pod has ended and left %q", left)
			break
		}
	}
	text, _ := os.ReadFile(filepath.Join(f.dir, "keeper.log"))
	for _, word := range []string{"DATA RACE", "panic:", "fatal error:"} {
		if bytes.Contains(text, []byte(word)) {
			f.Errorf("the supervisor says %s", word)
		}
	}
	if f.Failed() {
		f.Logf("keeper.log: %s", text)
	}
	calls, _ := filepath.Glob(filepath.Join(f.dir, "runtime", "*"))
	if len(calls) > 0 {
		f.Errorf("the runtime still knows %q", calls)
	}
}

// processes are the command lines of what was started for the pod, by the environment they were given.
func (f *fixture) processes() (all []string) {
	environs, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range environs {
		text, _ := os.ReadFile(path)
		if bytes.Contains(text, []byte("PCT_POD="+f.dir)) {
			argv, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
			all = append(all, path+" "+strings.ReplaceAll(string(argv), "\x00", " "))
		}
	}
	return all
}

// gone waits for the end of a process.
func (f *fixture) gone(pid int) {
	f.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	if n, _ := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(patience.Milliseconds())); n != 1 {
		f.Fatalf("process %d does not end", pid)
	}
}

// ask asks as the engine does: again where the supervisor dies before it answers.
func (f *fixture) ask(req control.Request) control.Reply {
	f.Helper()
	for {
		reply, err := f.try(req)
		switch {
		case err == nil:
			return reply
		case f.ctx.Err() != nil:
			f.Fatalf("%+v: no answer", req)
		}
		if _, alive := keeper.Find(f.dir); !alive {
			f.Fatalf("%+v: the pod is down: %v", req, err)
		}
	}
}

func (f *fixture) try(req control.Request) (reply control.Reply, err error) {
	conn, err := control.Dial(f.ctx, f.dir)
	if err != nil {
		return reply, err
	}
	defer conn.Close()
	defer conn.CloseOn(f.ctx)()
	if err = conn.Send(req); err == nil {
		_, err = conn.Receive(&reply)
	}
	return reply, err
}

// want asks and fails on an error.
func (f *fixture) want(req control.Request) control.Reply {
	f.Helper()
	reply := f.ask(req)
	if reply.Error != "" {
		f.Fatalf("%+v: %s", req, reply.Error)
	}
	return reply
}

// wantError asks for what must fail with these words.
func (f *fixture) wantError(req control.Request, words string) {
	f.Helper()
	if reply := f.ask(req); !strings.Contains(reply.Error, words) || words == "" {
		f.Errorf("%+v: error %q, want %q", req, reply.Error, words)
	}
}

// bundle makes the bundle of a container that runs a shell line.
func (f *fixture) bundle(c pod.Container, line string) string {
	f.Helper()
	return f.bundleArgv(c, "sh", "-c", line)
}

func (f *fixture) bundleArgv(c pod.Container, argv ...string) string {
	f.Helper()
	id := newID()
	dir := filepath.Join(f.dir, "containers", id)
	f.must(os.MkdirAll(dir, 0o700))
	text, err := json.Marshal(specs.Spec{Process: f.process(argv...), Linux: &specs.Linux{Namespaces: []specs.LinuxNamespace{
		{Type: specs.NetworkNamespace, Path: filepath.Join(f.dir, "cells", pod.DefaultCell)},
	}}})
	f.must(err)
	f.must(os.WriteFile(filepath.Join(dir, "config.json"), text, 0o600))
	if c.Name == "" {
		c.Name = "web"
	}
	c.Cell = pod.DefaultCell
	b := control.Bundle{ID: id, Container: c, LogDir: f.logDir(id)}
	if c.Health != nil {
		b.Probe = f.process("sh", "-c", c.Health.Test[1])
	}
	f.must(control.WriteBundle(dir, b))
	return id
}

func (f *fixture) process(argv ...string) *specs.Process {
	return &specs.Process{Args: argv, Cwd: "/", Env: []string{"PATH=" + os.Getenv("PATH"), "PCT_POD=" + f.dir, "DIR=" + f.dir}}
}

func (f *fixture) processJSON(argv []string) []byte {
	f.Helper()
	text, err := json.Marshal(f.process(argv...))
	f.must(err)
	return text
}

func (f *fixture) logDir(id string) string { return filepath.Join(f.dir, "logs", id) }

// start starts a container that runs a shell line, and gives its ID.
func (f *fixture) start(c pod.Container, line string) string {
	f.Helper()
	id := f.bundle(c, line)
	f.want(start(id))
	return id
}

func start(id string) control.Request { return control.Request{Start: &control.Start{ID: id}} }
func wait(id string, until pod.Until) control.Request {
	return control.Request{Wait: &control.Wait{ID: id, Until: until}}
}
func stop(id string, grace time.Duration) control.Request {
	return control.Request{Stop: &control.Stop{ID: id, Grace: grace}}
}
func forget(id string) control.Request { return control.Request{Forget: &control.Forget{ID: id}} }
func signal(id, name string) control.Request {
	return control.Request{Signal: &control.Signal{ID: id, Name: name}}
}

func health(line string, every time.Duration) *pod.Health {
	return &pod.Health{Test: []string{"CMD-SHELL", line}, Interval: every, Timeout: patience, Retries: 2}
}

// run is what the supervisor knows of a container now.
func (f *fixture) run(id string) pod.Run {
	f.Helper()
	return find(f.want(control.Request{Status: &struct{}{}}), id)
}

func find(reply control.Reply, id string) pod.Run {
	for _, c := range reply.Containers {
		if c.ID == id {
			return c.Run
		}
	}
	return pod.Run{}
}

// until watches until a container's run is as wanted, across supervisors.
func (f *fixture) until(id string, wanted func(pod.Run) bool) pod.Run {
	f.Helper()
	var last pod.Run
	for f.ctx.Err() == nil {
		conn, err := control.Dial(f.ctx, f.dir)
		f.must(err)
		stop := conn.CloseOn(f.ctx)
		f.must(conn.Send(control.Request{Watch: &struct{}{}}))
		for {
			var reply control.Reply
			if _, err := conn.Receive(&reply); err != nil {
				break
			}
			if last = find(reply, id); wanted(last) {
				stop()
				conn.Close()
				return last
			}
		}
		stop()
		conn.Close()
	}
	f.Fatalf("it does not come so far: %+v", last)
	return pod.Run{}
}

// supervisor is the process id of the one that answers now.
func (f *fixture) supervisor() int { return f.want(control.Request{Status: &struct{}{}}).PID }

// kill ends the supervisor by SIGKILL; the next answers.
func (f *fixture) kill() {
	f.Helper()
	pid := f.supervisor()
	f.must(syscall.Kill(pid, syscall.SIGKILL))
	f.gone(pid)
}

// killAll ends keeper and supervisor by SIGKILL and starts new ones.
func (f *fixture) killAll() {
	f.Helper()
	sup := f.supervisor()
	pid, _ := keeper.Find(f.dir)
	f.must(syscall.Kill(pid, syscall.SIGKILL)) // first: it would start another supervisor
	_ = syscall.Kill(sup, syscall.SIGKILL)     // it ends by itself when its keeper has gone
	f.gone(pid)
	f.gone(sup)
}

// lines is a container's log.
func (f *fixture) lines(id string) (all []string) {
	f.Helper()
	err := logs.Read(f.ctx, f.logDir(id), logs.ReadOptions{Tail: -1}, func(l logs.Line) error {
		all = append(all, string(l.Text))
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		f.Fatal(err)
	}
	return all
}

// wantLines: the log is exactly this.
func (f *fixture) wantLines(id string, want ...string) {
	f.Helper()
	if got := f.lines(id); strings.Join(got, "\n") != strings.Join(want, "\n") {
		f.Errorf("log is %q, want %q", got, want)
	}
}

// said follows a container's log to a line.
func (f *fixture) said(id, line string) {
	f.Helper()
	found := errors.New("found")
	f.must(os.MkdirAll(f.logDir(id), 0o700))
	err := logs.Read(f.ctx, f.logDir(id), logs.ReadOptions{Tail: -1, Follow: true}, func(l logs.Line) error {
		if string(l.Text) == line {
			return found
		}
		return nil
	})
	if !errors.Is(err, found) {
		f.Fatalf("no line %q: %v; %q", line, err, f.lines(id))
	}
}

// wantCounted: the log is 1, 2, 3 … n, each once, and n is at least some.
func (f *fixture) wantCounted(id string, least int) {
	f.Helper()
	all := f.lines(id)
	for i, line := range all {
		if line != strconv.Itoa(i+1) {
			f.Fatalf("line %d is %q", i+1, line)
		}
	}
	if len(all) < least {
		f.Errorf("%d lines, want %d", len(all), least)
	}
}
