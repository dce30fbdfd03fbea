package runtimetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/pcompose/pcompose/pod/runtime"
)

// Fake is a runtime.Runtime without containers: each first process and each exec is a plain process of the host, with
// real pipes, pids, signals and exit codes, but no isolation. For tests of whoever drives a runtime.
//
// The command is config.json's process.args with its env and cwd. A file of that name in the bundle's root file system
// is preferred, else the host's is run. A created process is a /bin/sh that waits on a pipe and then execs the command, so
// the pid of Create is the pid of the command. It is a child of the calling process, which reaps it with wait4(pid) as a
// subreaper would. Unlike a real container's, processes below the first one outlive it unless Kill with all or Delete with
// force ends them.
type Fake struct {
	// Fail, where not nil, is asked before each operation ("create", "start", "kill", "delete", "state", "exec", "pause",
	// "resume"); its error is returned in place of the operation.
	Fail func(op, id string) error

	mu         sync.Mutex
	containers map[string]*fakeContainer
	calls      []string
}

type fakeContainer struct {
	bundle  string
	spec    *specs.Spec
	pid     int
	gate    *os.File // closed by Start; the first process waits for the byte before it
	started bool
	paused  bool
	execs   []*runtime.Process
}

var _ runtime.Runtime = (*Fake)(nil)

// NewFake is a Fake without containers.
func NewFake() *Fake { return &Fake{containers: map[string]*fakeContainer{}} }

// Calls are the operations so far, "create web-1", in order; State is left out, for it may be asked at any time.
func (f *Fake) Calls() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.calls...)
}

// enter notes an operation and finds its container; the caller unlocks, error or not.
func (f *Fake) enter(ctx context.Context, op, id string) (*fakeContainer, error) {
	f.mu.Lock()
	if op != "state" {
		f.calls = append(f.calls, op+" "+id)
	}
	if err := ctx.Err(); err != nil {
		return nil, wrap(op, id, err)
	}
	if f.Fail != nil {
		if err := f.Fail(op, id); err != nil {
			return nil, wrap(op, id, err)
		}
	}
	c := f.containers[id]
	if c == nil && op != "create" && op != "delete" {
		return nil, wrap(op, id, runtime.ErrNotFound)
	}
	return c, nil
}

func wrap(op, id string, err error) error {
	return fmt.Errorf("cannot %s container %q: %w", op, id, err)
}

// Create implements runtime.Runtime.
func (f *Fake) Create(ctx context.Context, o runtime.CreateOptions) (runtime.Created, error) {
	c, err := f.enter(ctx, "create", o.ID)
	defer f.mu.Unlock()
	if err == nil && c != nil {
		err = wrap("create", o.ID, runtime.ErrExists)
	}
	if err != nil {
		return runtime.Created{}, err
	}
	c, made, err := begin(o)
	if err != nil {
		return runtime.Created{}, wrap("create", o.ID, err)
	}
	f.containers[o.ID] = c
	return made, nil
}

func begin(o runtime.CreateOptions) (*fakeContainer, runtime.Created, error) {
	var made runtime.Created
	text, err := os.ReadFile(filepath.Join(o.Bundle, "config.json"))
	if err != nil {
		return nil, made, err
	}
	c := &fakeContainer{bundle: o.Bundle, spec: &specs.Spec{}}
	if err := json.Unmarshal(text, c.spec); err != nil {
		return nil, made, err
	}
	cmd, err := c.command(c.spec.Process)
	if err != nil {
		return nil, made, err
	}
	// The process at its gate: read ends on Start's byte, and fails when Delete closes the pipe instead.
	gateOut, gateIn, err := os.Pipe()
	if err != nil {
		return nil, made, err
	}
	defer gateOut.Close()
	cmd.Args = append([]string{"sh", "-c", `read -r _ <&3 || exit 1; exec 3<&-; exec "$@"`, "sh", cmd.Path}, cmd.Args[1:]...)
	cmd.Path = "/bin/sh"
	cmd.ExtraFiles = []*os.File{gateOut}
	slave, err := connect(cmd, [3]*os.File{o.Stdin, o.Stdout, o.Stderr}, o.TTY, &made.Console)
	if err == nil {
		err = cmd.Start()
	}
	if slave != nil {
		slave.Close()
	}
	if err != nil {
		gateIn.Close()
		return nil, made, err
	}
	c.gate, c.pid, made.PID = gateIn, cmd.Process.Pid, cmd.Process.Pid
	// The caller reaps it; only the handle is given up here.
	if err := cmd.Process.Release(); err != nil {
		return nil, made, err
	}
	if o.PIDFile != "" {
		err = os.WriteFile(o.PIDFile, []byte(strconv.Itoa(made.PID)), 0o600)
	}
	return c, made, err
}

// connect gives a command its streams, or a terminal whose slave the caller closes after the start.
func connect(cmd *exec.Cmd, s [3]*os.File, tty bool, console **os.File) (*os.File, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if tty {
		master, slave, err := runtime.OpenPTY()
		if err != nil {
			return nil, err
		}
		*console = master
		s = [3]*os.File{slave, slave, slave}
		cmd.SysProcAttr.Setctty = true
	}
	// A nil *os.File in an interface would not be nil.
	if s[0] != nil {
		cmd.Stdin = s[0]
	}
	if s[1] != nil {
		cmd.Stdout = s[1]
	}
	if s[2] != nil {
		cmd.Stderr = s[2]
	}
	if tty {
		return s[0], nil
	}
	return nil, nil
}

// command is a process of the spec as a command of the host.
func (c *fakeContainer) command(p *specs.Process) (*exec.Cmd, error) {
	root := ""
	if c.spec.Root != nil {
		root = c.spec.Root.Path
		if !filepath.IsAbs(root) {
			root = filepath.Join(c.bundle, root)
		}
	}
	if p == nil || len(p.Args) == 0 {
		return nil, errors.New("process.args is empty")
	}
	path := filepath.Join(root, p.Args[0])
	if st, err := os.Stat(path); !strings.Contains(p.Args[0], "/") || err != nil || st.IsDir() {
		if path, err = exec.LookPath(p.Args[0]); err != nil {
			return nil, notFound(p.Args[0])
		}
	}
	cmd := &exec.Cmd{Path: path, Args: append([]string(nil), p.Args...), Env: p.Env, Dir: "/"}
	if st, err := os.Stat(filepath.Join(root, p.Cwd)); err == nil && st.IsDir() {
		cmd.Dir = filepath.Join(root, p.Cwd)
	}
	return cmd, nil
}

func notFound(name string) error {
	if strings.Contains(name, "/") {
		return &runtime.CommandError{Code: 127, Message: fmt.Sprintf("exec: %q: no such file or directory", name)}
	}
	return &runtime.CommandError{Code: 127, Message: fmt.Sprintf("exec: %q: executable file not found in $PATH", name)}
}
