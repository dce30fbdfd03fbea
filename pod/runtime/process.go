package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Process is a command run in a container beside its first process. The program behind it is the caller's child, so
// its exit code is never lost to another reaper.
type Process struct {
	// Console is the caller's side of its terminal, nil without one. The caller closes it.
	Console *os.File

	child   *os.Process
	pidFile string
	done    chan struct{}
	code    int
	err     error

	// mu orders Kill and the reaping: until reaped is set, the pid and all pids below it are ours to signal.
	mu     sync.Mutex
	reaped bool
	killed bool
}

// Attachment is what Attach adds to a started command.
type Attachment struct {
	Console *os.File
	// PIDFile is where the runtime writes the pid of the process in the container.
	PIDFile string
	// Explain, where not nil, is asked once after the end what the exit code means.
	Explain func(code int) (int, error)
}

// Attach starts a command as a Process; for drivers. A cancelled context kills its whole tree.
func Attach(ctx context.Context, cmd *exec.Cmd, a Attachment) (*Process, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &Process{Console: a.Console, child: cmd.Process, pidFile: a.PIDFile, done: make(chan struct{})}
	stop := context.AfterFunc(ctx, func() { p.Kill() })
	go func() {
		defer close(p.done)
		defer stop()
		p.code, p.err = p.reap(cmd)
		if a.Explain != nil && p.err == nil {
			p.mu.Lock()
			killed := p.killed
			p.mu.Unlock()
			code, err := a.Explain(p.code)
			if !killed {
				p.code, p.err = code, err
			}
		}
	}()
	return p, nil
}

// reap waits without reaping (WNOWAIT) first: between the two, Kill must not run, or it might signal a reused pid.
func (p *Process) reap(cmd *exec.Cmd) (int, error) {
	var err error
	for {
		err = unix.Waitid(unix.P_PID, p.child.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	err = cmd.Wait()
	p.reaped = true
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return -1, fmt.Errorf("cannot wait for process: %w", err)
	}
	if p.killed {
		return 128 + int(unix.SIGKILL), nil
	}
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return status.ExitStatus(), nil
}

// Wait is the exit code, 128+n after signal n. Where the command could not be run the code is 126 or 127 and the error
// a *CommandError; any other error means the runtime failed, with code 126. May be called more than once.
func (p *Process) Wait() (int, error) {
	<-p.done
	return p.code, p.err
}

// Done is closed when Wait has an answer.
func (p *Process) Done() <-chan struct{} { return p.done }

// PID of the command in the caller's PID namespace; 0 while it is not known yet.
func (p *Process) PID() int {
	text, err := os.ReadFile(p.pidFile)
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return pid
}

// Kill ends the command and every process below it with SIGKILL; Wait then says 137. After the end it does nothing.
// A process that was orphaned before (its parent ended, it now belongs to the container's first process) is out of
// reach: it lives as long as the container. Calling Kill again ends a runtime program that hangs.
func (p *Process) Kill() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reaped {
		return nil
	}
	p.killed = true
	// The program is left to see its child's end and to clean up, if it has one.
	if KillBelow(p.child.Pid) > 0 {
		return nil
	}
	if err := p.child.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("cannot kill process %d: %w", p.child.Pid, err)
	}
	return nil
}

// KillBelow kills every descendant of a process and leaves the process itself; it says how many. The tree is stopped
// from the top, so that no parent forks another child or reaps one (and frees its pid) while it is read, and killed from
// the bottom. root must be a process that nobody reaps meanwhile.
func KillBelow(root int) int {
	var tree []int
	seen := map[int]bool{root: true}
	unix.Kill(root, unix.SIGSTOP)
	// SIGSTOP takes effect a moment later than kill(2) returns: a fork may still slip through, so look until
	// nothing new turns up.
	for {
		before := len(tree)
		for i := -1; i < len(tree); i++ {
			parent := root
			if i >= 0 {
				parent = tree[i]
			}
			for _, pid := range children(parent) {
				if !seen[pid] {
					seen[pid] = true
					unix.Kill(pid, unix.SIGSTOP)
					tree = append(tree, pid)
				}
			}
		}
		if len(tree) == before {
			break
		}
	}
	for i := len(tree) - 1; i >= 0; i-- {
		unix.Kill(tree[i], unix.SIGKILL)
	}
	unix.Kill(root, unix.SIGCONT)
	return len(tree)
}

// children are those of all threads of a process: a child belongs to the thread that forked it (proc(5)).
func children(pid int) []int {
	dir := "/proc/" + strconv.Itoa(pid) + "/task"
	threads, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var list []int
	for _, thread := range threads {
		text, _ := os.ReadFile(dir + "/" + thread.Name() + "/children")
		for _, field := range strings.Fields(string(text)) {
			if child, err := strconv.Atoi(field); err == nil {
				list = append(list, child)
			}
		}
	}
	return list
}
