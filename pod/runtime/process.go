package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

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
	stop := context.AfterFunc(ctx, func() { _ = p.Kill() }) // nobody waits for its answer; Wait has the outcome
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

// PID of the command in the caller's PID namespace; 0 while it is not known yet (runc says it only after the command has
// begun) and after the end.
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
	if !p.killed && !p.reaped {
		go p.insist()
	}
	return p.kill()
}

// insist kills again until the program ends: what it had below it may have been a process that it tries the kernel with (Go
// does, for pidfds), and the command comes after that one's end.
func (p *Process) insist() {
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	for {
		select {
		case <-p.done:
			return
		case <-again.C:
		}
		p.mu.Lock()
		_ = p.kill() // it was told of the first one
		p.mu.Unlock()
	}
}

// kill is one attempt, under mu.
func (p *Process) kill() error {
	if p.reaped {
		return nil
	}
	p.killed = true
	// The program is left to see its child's end and to clean up, if it has one.
	if killBelow(p.child.Pid) > 0 {
		return resume(p.child.Pid)
	}
	// Still stopped: let go before it dies, it might fork what is then nobody's.
	if err := p.child.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("cannot kill process %d: %w", p.child.Pid, err)
	}
	return nil
}

// KillBelow kills every descendant of a process and leaves the process itself; it says how many. The tree is stopped from
// the top and killed from the bottom: a stopped parent forks no further child, and reaps none, so that no pid in the
// list can be another process by the time it is killed. root must be a process that nobody reaps meanwhile.
func KillBelow(root int) int {
	n := killBelow(root)
	_ = resume(root) // it is not reaped meanwhile, and stop had the same right to signal it
	return n
}

// resume undoes stop.
func resume(pid int) error {
	if err := unix.Kill(pid, unix.SIGCONT); err != nil {
		return fmt.Errorf("cannot resume process %d: %w", pid, err)
	}
	return nil
}

// killBelow leaves root stopped.
func killBelow(root int) int {
	stop(root)
	tree := []int{root}
	// Until nothing new is found: a process that is not stopped yet can give a child to its own parent (clone(2),
	// CLONE_PARENT), whose children have been looked at; libcontainer makes its processes so.
	for grown := true; grown; {
		grown = false
		for i := 0; i < len(tree); i++ {
			for _, child := range children(tree[i]) {
				if slices.Contains(tree, child) {
					continue
				}
				stop(child)
				tree, grown = append(tree, child), true
			}
		}
	}
	for i := len(tree) - 1; i > 0; i-- {
		_ = unix.Kill(tree[i], unix.SIGKILL) // one that has ended is as good
	}
	return len(tree) - 1
}

// stop sends SIGSTOP and sees it take effect in every thread: kill(2) returns before, and a fork may slip through
// between. A thread that runs, or would if it had a processor, is waited for. One that sleeps on, uninterruptibly or frozen,
// is not beyond 50 ms: it comes out of that into a SIGKILL.
func stop(pid int) {
	if unix.Kill(pid, unix.SIGSTOP) != nil {
		return
	}
	for asleep := 0; asleep < 250; {
		running, sleeping := awake(pid)
		switch {
		case !running && !sleeping:
			return
		case !running:
			asleep++
		}
		time.Sleep(200 * time.Microsecond)
	}
}

// awake says whether threads of a process run, and whether some sleep, where they are not stopped, dead or gone.
func awake(pid int) (running, sleeping bool) {
	dir := "/proc/" + strconv.Itoa(pid) + "/task"
	threads, _ := os.ReadDir(dir)
	for _, thread := range threads {
		text, err := os.ReadFile(dir + "/" + thread.Name() + "/stat")
		// The state follows the command's closing parenthesis (proc(5)).
		state := bytes.LastIndexByte(text, ')') + 2
		switch {
		case err != nil || state >= len(text) || strings.IndexByte("TtZX", text[state]) >= 0:
		case text[state] == 'R':
			running = true
		default:
			sleeping = true
		}
	}
	return running, sleeping
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
