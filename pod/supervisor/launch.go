package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/pcompose/pcompose/pod/control"
	"github.com/pcompose/pcompose/pod/keeper"
	"github.com/pcompose/pcompose/pod/lifecycle"
	"github.com/pcompose/pcompose/pod/runtime"
	"golang.org/x/sys/unix"
)

// launched is a process that a launch has started.
type launched struct {
	pid   int
	start uint64
	// at is before its program begins: what it does, and its end, is later.
	at     time.Time
	output *output
}

// launch starts the container's process beside the loop, and reports Started or StartFailed.
func (s *Supervisor) launch(ctx context.Context, c *container) {
	broken, b := s.network.broken, c.bundle // the loop's, which an update changes
	go func() {
		l, err := launched{}, broken
		if err == nil && s.network.pod.Cgroup == "" && b.Cgroup != "" {
			err = withoutCgroup(filepath.Join(s.bundleDir(b.ID), "config.json"))
		}
		if err == nil {
			l, err = (&starter{s.keeper, runtimeOf(s, b), s.bundleDir(b.ID)}).start(ctx, b)
		}
		s.post(ctx, func() {
			if err != nil {
				s.happen(ctx, c, lifecycle.StartFailed{At: time.Now(), Err: plain(err), Code: commandCode(err)})
				return
			}
			c.output, c.run.Start = l.output, l.start
			s.happen(ctx, c, lifecycle.Started{At: l.at, PID: l.pid})
			if exit, ok := s.strays[l.pid]; ok && exit.Start == l.start { // it was quicker than this report
				delete(s.strays, l.pid)
				s.exited(ctx, exit)
			}
		})
	}()
}

// starter starts one container's process.
type starter struct {
	keeper  *keeper.Client
	runtime runtime.Runtime
	dir     string
}

// start creates and starts a container. On failure nothing of it is left but its bundle.
func (s *starter) start(ctx context.Context, b control.Bundle) (l launched, err error) {
	id := b.ID
	namespaces, err := join(s.dir, b)
	if err != nil {
		return l, err
	}
	defer namespaces.close()
	out, err := newOutput(s.keeper, b)
	if err != nil {
		return l, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.runtime.Delete(ctx, id, true))
			out.discard(s.keeper)
		}
	}()
	created, err := s.create(ctx, b, out)
	if err != nil {
		return l, err
	}
	l = launched{pid: created.PID, output: out}
	if err := out.begin(ctx, s.keeper, created.Console); err != nil {
		return l, err
	}
	if l.start, err = keeper.StartTime(created.PID); err != nil {
		return l, fmt.Errorf("cannot watch process %d: %w", created.PID, err)
	}
	l.at = time.Now()
	if err := s.runtime.Start(ctx, id); err != nil {
		return l, err
	}
	return l, nil
}

// create makes the container; a name that an interrupted start took is freed once.
func (s *starter) create(ctx context.Context, b control.Bundle, out *output) (runtime.Created, error) {
	o := runtime.CreateOptions{
		ID: b.ID, Bundle: s.dir, PIDFile: filepath.Join(s.dir, "pid"),
		Stdin: out.stdin, Stdout: out.stdout, Stderr: out.stderr, TTY: b.Container.TTY, Filter: b.Filter,
	}
	created, err := s.runtime.Create(ctx, o)
	if errors.Is(err, runtime.ErrExists) {
		if err := s.runtime.Delete(ctx, b.ID, true); err != nil {
			return created, err
		}
		created, err = s.runtime.Create(ctx, o)
	}
	return created, err
}

// plain is an error without the container's long ID, which says nothing to a user.
func plain(err error) string {
	var command *runtime.CommandError
	if errors.As(err, &command) {
		return command.Message
	}
	return err.Error()
}

// commandCode is 126 or 127 of a command that cannot be run, 0 of any other error.
func commandCode(err error) int {
	var command *runtime.CommandError
	if errors.As(err, &command) {
		return command.Code
	}
	return 0
}

// signalNumber reads SIGTERM, TERM, 15, and SIGRTMIN+3 or SIGRTMAX-1: 34 and 64 are their ends as libc counts, see signal(7).
func signalNumber(name string) (unix.Signal, error) {
	if n, err := strconv.Atoi(name); err == nil && n > 0 && n < 65 {
		return unix.Signal(n), nil
	}
	upper := strings.ToUpper(name)
	if !strings.HasPrefix(upper, "SIG") {
		upper = "SIG" + upper
	}
	if n := unix.SignalNum(upper); n != 0 {
		return n, nil
	}
	for end, base := range map[string]int{"SIGRTMIN": 34, "SIGRTMAX": 64} {
		offset, ok := strings.CutPrefix(upper, end)
		n, err := strconv.Atoi(offset)
		if ok && (offset == "" || err == nil && base+n >= 34 && base+n <= 64) {
			return unix.Signal(base + n), nil
		}
	}
	return 0, fmt.Errorf("no signal is named %q", name)
}

// oomKilled says whether the kernel killed a process of the cgroup for want of memory: memory.events in
// cgroup v2, memory.oom_control in v1 (oom_kill since Linux 4.13).
func oomKilled(cgroup string) bool {
	if cgroup == "" {
		return false
	}
	for _, path := range []string{
		filepath.Join("/sys/fs/cgroup", cgroup, "memory.events"),
		filepath.Join("/sys/fs/cgroup/memory", cgroup, "memory.oom_control"),
	} {
		b, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		for _, line := range strings.Split(string(b), "\n") {
			if n, ok := strings.CutPrefix(line, "oom_kill "); ok && n != "0" {
				return true
			}
		}
	}
	return false
}
