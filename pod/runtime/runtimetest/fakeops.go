package runtimetest

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/pcompose/pcompose/pod/runtime"
)

// Start implements runtime.Runtime.
func (f *Fake) Start(ctx context.Context, id string) error {
	c, err := f.enter(ctx, "start", id)
	defer f.mu.Unlock()
	if err != nil {
		return err
	}
	if c.started {
		return wrap("start", id, errors.New("already started"))
	}
	if _, err := c.gate.Write([]byte("\n")); err != nil {
		return wrap("start", id, err)
	}
	c.started = true
	c.gate.Close()
	return nil
}

// Kill implements runtime.Runtime. With all, descendants of the first process get SIGKILL whatever the signal.
func (f *Fake) Kill(ctx context.Context, id string, sig unix.Signal, all bool) error {
	c, err := f.enter(ctx, "kill", id)
	defer f.mu.Unlock()
	if err != nil {
		return err
	}
	if !alive(c.pid) {
		return wrap("kill", id, runtime.ErrNotRunning)
	}
	if all {
		runtime.KillBelow(c.pid)
	}
	if err := unix.Kill(c.pid, sig); err != nil {
		return wrap("kill", id, err)
	}
	return nil
}

// Delete implements runtime.Runtime.
func (f *Fake) Delete(ctx context.Context, id string, force bool) error {
	c, err := f.enter(ctx, "delete", id)
	defer f.mu.Unlock()
	if err != nil || c == nil {
		return err
	}
	if c.started && alive(c.pid) && !force {
		return wrap("delete", id, errors.New("it is running"))
	}
	c.gate.Close()
	if alive(c.pid) {
		// Stopped, it cannot end by itself because those below it have, which would not be our SIGKILL's doing.
		unix.Kill(c.pid, unix.SIGSTOP)
		runtime.KillBelow(c.pid)
		unix.Kill(c.pid, unix.SIGKILL)
	}
	for _, p := range c.execs {
		p.Kill()
	}
	delete(f.containers, id)
	return nil
}

// State implements runtime.Runtime.
func (f *Fake) State(ctx context.Context, id string) (runtime.State, error) {
	c, err := f.enter(ctx, "state", id)
	defer f.mu.Unlock()
	if err != nil {
		return runtime.State{}, err
	}
	st := runtime.State{ID: id, Status: runtime.Waiting, PID: c.pid, Bundle: c.bundle}
	switch {
	case !alive(c.pid):
		st.Status, st.PID = runtime.Stopped, 0
	case c.paused:
		st.Status = runtime.Paused
	case c.started:
		st.Status = runtime.Running
	}
	return st, nil
}

// Pause implements runtime.Runtime: it stops the first process only.
func (f *Fake) Pause(ctx context.Context, id string) error {
	return f.freeze(ctx, "pause", id, unix.SIGSTOP)
}

// Resume implements runtime.Runtime.
func (f *Fake) Resume(ctx context.Context, id string) error {
	return f.freeze(ctx, "resume", id, unix.SIGCONT)
}

func (f *Fake) freeze(ctx context.Context, op, id string, sig unix.Signal) error {
	c, err := f.enter(ctx, op, id)
	defer f.mu.Unlock()
	if err != nil {
		return err
	}
	pause := sig == unix.SIGSTOP
	if c.paused == pause || !c.started || !alive(c.pid) {
		return wrap(op, id, errors.New("it is not in a state for that"))
	}
	c.paused = pause
	return unix.Kill(c.pid, sig)
}

// Exec implements runtime.Runtime. The command is run by a /bin/sh that stays its parent, as a runtime program does.
func (f *Fake) Exec(ctx context.Context, o runtime.ExecOptions) (*runtime.Process, error) {
	c, err := f.enter(ctx, "exec", o.ID)
	defer f.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if !c.started || !alive(c.pid) {
		return nil, wrap("exec", o.ID, runtime.ErrNotRunning)
	}
	var failed error
	cmd, err := c.command(o.Process)
	var command *runtime.CommandError
	if errors.As(err, &command) {
		// Known at Wait, as with a real runtime.
		failed, cmd, err = err, &exec.Cmd{Path: "/bin/false", Args: []string{"false"}}, nil
	}
	if err != nil {
		return nil, wrap("exec", o.ID, err)
	}
	dir, err := os.MkdirTemp("", "pct-exec-")
	if err != nil {
		return nil, wrap("exec", o.ID, err)
	}
	pidFile := filepath.Join(dir, "pid")
	cmd.Args = append([]string{"sh", "-c", `p=$1; shift; exec 3<&0; "$@" <&3 3<&- & echo $! >"$p"; wait $!`, "sh", pidFile, cmd.Path}, cmd.Args[1:]...)
	cmd.Path = "/bin/sh"
	var console *os.File
	slave, err := connect(cmd, [3]*os.File{o.Stdin, o.Stdout, o.Stderr}, o.Process.Terminal, &console)
	if slave != nil {
		defer slave.Close()
	}
	if err != nil {
		os.RemoveAll(dir)
		return nil, wrap("exec", o.ID, err)
	}
	explain := func(code int) (int, error) {
		os.RemoveAll(dir)
		if failed != nil {
			return 127, failed
		}
		return code, nil
	}
	p, err := runtime.Attach(ctx, cmd, runtime.Attachment{Console: console, PIDFile: pidFile, Explain: explain})
	if err != nil {
		os.RemoveAll(dir)
		return nil, wrap("exec", o.ID, err)
	}
	c.execs = append(c.execs, p)
	return p, nil
}

// alive says whether a process exists and is no zombie, without reaping it.
func alive(pid int) bool {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	// The state follows the command's closing parenthesis (proc(5)).
	for i := len(text) - 1; i > 0; i-- {
		if text[i] == ')' {
			return i+2 < len(text) && text[i+2] != 'Z' && text[i+2] != 'X'
		}
	}
	return false
}
