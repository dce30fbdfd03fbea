// Package keeper is the tiny process of a pod that outlives its supervisor: it starts the supervisor anew, reaps
// and records every orphan's exit, and holds files for it. The process itself is keeper.c, which never enters the
// Go runtime; the Go code starts it and talks to it.
package keeper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// name is argv[0] of the keeper and its comm (PR_SET_NAME); keeper.c looks for it.
const name = "pcompose-keeper"

// Config says what to keep.
type Config struct {
	// Dir is the pod's runtime directory, absolute, mode 0700, on a file system without noexec worries: only
	// keeper.pid, keeper.log and exits are put there.
	Dir string
	// Supervisor is the argv of the supervisor; the program is this binary (/proc/self/exe), whatever argv[0] says.
	Supervisor []string
	// Env is the environment of keeper and supervisor; nil is an empty one.
	Env []string
	// LogFile takes stdout and stderr of both; "" is Dir/keeper.log. Cut to nothing when it passes 1 MiB.
	LogFile string
	// Socket is held from the start under the key "control", nil for none; the caller closes its own.
	Socket *os.File
	// Mark is a file whose byte at the keeper's process ID it locks for reading as long as it lives: who looks for a
	// process in its namespaces finds it. "" for none.
	Mark string
	// Admit is called with the process of the keeper before that does anything, and its error ends it; nil admits it.
	Admit func(pid int) error
	// Steady is how long a supervisor must live for its death to start the next one at once; 0 is a second.
	// Earlier deaths are answered at once the first time, then after 50 ms, doubling up to 5 s.
	Steady time.Duration
}

// Start starts the keeper of a pod, which starts the supervisor, and returns its process id once keeper.pid
// and the exit record are in place. It fails when the directory has a living keeper already. The keeper is in a
// session of its own and outlives the caller; Start leaves no zombie. Nothing runs after an error.
func Start(ctx context.Context, c Config) (int, error) {
	if !linked {
		return 0, errors.New("cannot start keeper: this binary was built without cgo")
	}
	if len(c.Supervisor) == 0 || !filepath.IsAbs(c.Dir) {
		return 0, errors.New("cannot start keeper: it needs an absolute directory and a supervisor")
	}
	pid, err := start(ctx, c)
	if err != nil {
		return 0, fmt.Errorf("cannot start keeper in %q: %w", c.Dir, err)
	}
	return pid, nil
}

func start(ctx context.Context, c Config) (int, error) {
	if c.LogFile == "" {
		c.LogFile = filepath.Join(c.Dir, "keeper.log")
	}
	log, err := os.OpenFile(c.LogFile, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return 0, err
	}
	defer log.Close()
	ready, told, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer ready.Close()
	wait, begin, err := os.Pipe()
	if err != nil {
		return 0, errors.Join(err, told.Close())
	}
	defer begin.Close()
	cmd := command(c, log, told)
	cmd.Stdin = wait
	err = cmd.Start()
	told.Close()
	wait.Close()
	if err != nil {
		return 0, err
	}
	if c.Admit != nil {
		err = c.Admit(cmd.Process.Pid)
	}
	if err == nil {
		_, err = begin.WriteString("!")
	}
	if err != nil {
		begin.Close() // without the word it ends
		return 0, errors.Join(err, cmd.Wait())
	}
	stop := context.AfterFunc(ctx, func() { _ = ready.SetReadDeadline(time.Unix(1, 0)) }) // fails once it is closed
	defer stop()
	// The keeper closes its end when it is set up; what it says before is why it failed.
	said, err := io.ReadAll(ready)
	if ctx.Err() != nil {
		err = ctx.Err()
	} else if err == nil {
		err = reason(said)
	}
	if err != nil {
		_ = cmd.Process.Kill() // it may have ended by itself
		_ = cmd.Wait()         // killed is no news
		return 0, err
	}
	go func() { _ = cmd.Wait() }() // no zombie while this process lives; after it the keeper is init's child
	return cmd.Process.Pid, nil
}

func command(c Config, log, told *os.File) *exec.Cmd {
	if c.Steady <= 0 {
		c.Steady = time.Second
	}
	if c.Env == nil {
		c.Env = []string{}
	}
	steady := strconv.FormatInt(max(1, c.Steady.Milliseconds()), 10)
	files, socket := []*os.File{told}, "0"
	if c.Socket != nil {
		files, socket = append(files, c.Socket), "1"
	}
	return &exec.Cmd{
		Path:        "/proc/self/exe",
		Args:        append([]string{name, c.Dir, steady, socket, c.Mark}, c.Supervisor...),
		Env:         c.Env,
		Dir:         "/",
		Stdout:      log,
		Stderr:      log,
		ExtraFiles:  files,
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
}

// reason turns the keeper's "text:errno" into an error; nothing said is success.
func reason(said []byte) error {
	text := strings.TrimSpace(string(said))
	if text == "" {
		return nil
	}
	i := strings.LastIndexByte(text, ':')
	n, err := strconv.Atoi(text[i+1:])
	if i < 0 || err != nil {
		return errors.New(text)
	}
	return fmt.Errorf("%s: %w", text[:i], syscall.Errno(n))
}
