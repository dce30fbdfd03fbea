// Package runtimetest is what every runtime.Runtime must do, as tests, and a Fake to test with.
package runtimetest

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/pcompose/pcompose/pod/runtime"
)

//go:embed testdata/probe.go testdata/attack.go
var programs embed.FS

// patience bounds every wait for something that happens at once unless it is broken.
const patience = 10 * time.Second

// Suite runs the contract of runtime.Runtime against what open returns; open is called once a subtest. The test process
// becomes a subreaper. Real runtimes need root.
func Suite(t *testing.T, open func(t *testing.T) runtime.Runtime) {
	subreaper(t)
	rootfs := buildRoot(t)
	t.Cleanup(removeCgroups)
	for name, test := range map[string]func(*fixture){
		"lifecycle": lifecycle, "start once": startOnce, "start late": startLate, "exit code": exitCode, "missing command": missingCommand, "double create": doubleCreate,
		"signal": signal, "delete force": deleteForce, "absent": absent, "tty": tty, "pause": pause,
		"exec": execOutput, "exec codes": execCodes, "exec tree": execTree, "exec cancelled": execCancelled, "exec tty": execTTY,
		"exec missing": execMissing, "exec killed early": execKilledEarly,
		"create race": createRace, "create cancelled": createCancelled,
	} {
		t.Run(name, func(t *testing.T) {
			test(&fixture{T: t, r: open(t), rootfs: rootfs, id: "pct-" + strings.ReplaceAll(name, " ", "-")})
		})
	}
}

func subreaper(t testing.TB) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
}

// buildRoot is a root file system with the programs of testdata as its only files.
func buildRoot(t testing.TB) string {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("SKIPPED: the suite compiles its container's program: no go in PATH")
	}
	dir := t.TempDir()
	rootfs := filepath.Join(dir, "rootfs")
	for _, name := range []string{"probe", "attack"} {
		source := filepath.Join(dir, name+".go")
		text, err := programs.ReadFile("testdata/" + name + ".go")
		if err = errors.Join(err, os.WriteFile(source, text, 0o600)); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("go", "build", "-o", filepath.Join(rootfs, name), source)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("cannot build %s: %v\n%s", name, err, out)
		}
	}
	return rootfs
}

// removeCgroups removes the parent of the containers' cgroups, which no runtime does; rmdir(2) refuses it while used.
func removeCgroups() {
	for _, pattern := range []string{"/sys/fs/cgroup/pct-runtimetest", "/sys/fs/cgroup/*/pct-runtimetest"} {
		dirs, _ := filepath.Glob(pattern)
		for _, dir := range dirs {
			os.Remove(dir)
		}
	}
}

// fixture is one container of one test.
type fixture struct {
	*testing.T
	r      runtime.Runtime
	rootfs string
	id     string
}

// output is a stream to a container and what came out of it.
type output struct {
	w    *os.File
	read *os.File
}

func (f *fixture) pipe() output {
	r, w, err := os.Pipe()
	f.must(err)
	f.Cleanup(func() { r.Close(); w.Close() })
	return output{w: w, read: r}
}

// line waits for the next line.
func (o output) line(f *fixture) string {
	f.Helper()
	o.read.SetReadDeadline(time.Now().Add(patience))
	var line []byte
	for b := make([]byte, 1); ; {
		n, err := o.read.Read(b)
		if err != nil {
			f.Fatalf("no line, only %q: %v", line, err)
		}
		if n == 1 && b[0] == '\n' {
			return strings.TrimSuffix(string(line), "\r")
		}
		line = append(line, b[:n]...)
	}
}

// rest closes our writing end and reads to the end.
func (o output) rest(f *fixture) string {
	f.Helper()
	o.w.Close()
	o.read.SetReadDeadline(time.Now().Add(patience))
	all, err := io.ReadAll(o.read)
	f.must(err)
	return string(all)
}

func (f *fixture) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

// bundle writes a bundle for argv; the container is removed, whatever becomes of it, with its cgroup.
func (f *fixture) bundle(tty bool, argv ...string) runtime.CreateOptions {
	f.Helper()
	dir := f.TempDir()
	text, err := json.Marshal(f.spec(tty, argv))
	f.must(err)
	f.must(os.WriteFile(filepath.Join(dir, "config.json"), text, 0o600))
	f.Cleanup(func() {
		stop := reaping(children())
		err := f.r.Delete(context.Background(), f.id, true)
		stop()
		if err != nil {
			f.Error(err)
		}
		f.reapStrangers(0)
	})
	return runtime.CreateOptions{ID: f.id, Bundle: dir, TTY: tty, PIDFile: filepath.Join(dir, "pid")}
}

// spec is as small as the runtimes take it.
func (f *fixture) spec(tty bool, argv []string) *specs.Spec {
	mounts := []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc"},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "mode=755"}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"newinstance", "ptmxmode=0666"}},
	}
	return &specs.Spec{
		Version: "1.0.2",
		Root:    &specs.Root{Path: f.rootfs},
		Process: process(tty, argv...),
		Mounts:  mounts,
		Linux: &specs.Linux{
			CgroupsPath: "/pct-runtimetest/" + f.id,
			Namespaces:  []specs.LinuxNamespace{{Type: specs.PIDNamespace}, {Type: specs.MountNamespace}, {Type: specs.IPCNamespace}},
		},
	}
}

func process(tty bool, argv ...string) *specs.Process {
	return &specs.Process{Args: argv, Cwd: "/", Terminal: tty, Env: []string{"PATH=/bin", "WORD=hello"}}
}

// run creates and starts a container and gives its pid and combined output.
func (f *fixture) run(argv ...string) (int, output) {
	f.Helper()
	o, out := f.bundle(false, argv...), f.pipe()
	o.Stdout, o.Stderr = out.w, out.w
	made, err := f.r.Create(f.Context(), o)
	f.must(err)
	f.must(f.r.Start(f.Context(), f.id))
	return made.PID, out
}

// reap waits for a first process, as the keeper of a pod does.
func (f *fixture) reap(pid int) unix.WaitStatus {
	f.Helper()
	got := make(chan unix.WaitStatus, 1)
	go func() {
		var ws unix.WaitStatus
		for {
			if _, err := unix.Wait4(pid, &ws, 0, nil); !errors.Is(err, unix.EINTR) {
				got <- ws
				return
			}
		}
	}()
	select {
	case ws := <-got:
		return ws
	case <-time.After(patience):
		f.Fatalf("process %d does not end", pid)
		return 0
	}
}

// reapStrangers waits for every child of this process but one: orphans of runtimes, when none runs. It asks each in turn,
// since one may not be able to die before another is reaped.
func (f *fixture) reapStrangers(but int) {
	f.Helper()
	for begun := time.Now(); ; time.Sleep(time.Millisecond) {
		left := 0
		for _, pid := range children() {
			if pid == but {
				continue
			}
			if got, _ := unix.Wait4(pid, nil, unix.WNOHANG, nil); got == 0 {
				left = pid
			}
		}
		if left == 0 {
			return
		}
		if time.Since(begun) > patience {
			status, _ := os.ReadFile("/proc/" + strconv.Itoa(left) + "/status")
			wait, _ := os.ReadFile("/proc/" + strconv.Itoa(left) + "/wchan")
			f.Errorf("process %d outlives the test, in %s:\n%s", left, wait, status)
			return
		}
	}
}

// children are those of this process.
func children() (pids []int) {
	threads, _ := filepath.Glob("/proc/self/task/*/children")
	for _, file := range threads {
		text, _ := os.ReadFile(file)
		for _, field := range strings.Fields(string(text)) {
			if pid, err := strconv.Atoi(field); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// reaping reaps some children when they end, until it is stopped: the first process of a PID namespace has not ended before
// all in it are reaped (pid_namespaces(7)), those too whose parent is outside.
func reaping(pids []int) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			pids = slices.DeleteFunc(pids, func(pid int) bool {
				got, err := unix.Wait4(pid, nil, unix.WNOHANG, nil)
				return got != 0 || err != nil && !errors.Is(err, unix.EINTR)
			})
			select {
			case <-quit:
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	return func() { close(quit); <-done }
}

func (f *fixture) wantStatus(want runtime.Status) runtime.State {
	f.Helper()
	st, err := f.r.State(f.Context(), f.id)
	f.must(err)
	if st.Status != want || st.ID != f.id {
		f.Fatalf("state is %+v, want %s", st, want)
	}
	return st
}

func (f *fixture) wantError(err error, sentinel error, words string) {
	f.Helper()
	if err == nil || (sentinel != nil && !errors.Is(err, sentinel)) || !strings.Contains(err.Error(), words) {
		f.Fatalf("error is %v, want %v with %q", err, sentinel, words)
	}
}
