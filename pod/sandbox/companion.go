package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// companion is a process of the pod beside its supervisor. It is known by its arguments, one of which is the path of the
// pod's pid file: so a reused pid is never taken for it, and one is found that was killed over before its pid was written.
type companion struct {
	pid  int
	argv []string
	// file is its pidfd (pidfd_open(2), Linux 5.3).
	file *os.File
}

// endWithin bounds the wait for a process that was killed.
const endWithin = 10 * time.Second

// startCompanion starts a program of ours that has the mark among its arguments, by a function like its Start, and writes
// its pid file. Its pidfd is from clone(2): execve(2) lets its parent go on before /proc shows its arguments.
func startCompanion(cmd *exec.Cmd, mark string, start func(*exec.Cmd) error) (*companion, error) {
	fd := -1
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, PidFD: &fd}
	if err := start(cmd); err != nil {
		return nil, err
	}
	go func() { _ = cmd.Wait() }() // its end is seen by its pidfd
	if fd < 0 {
		return nil, errors.Join(errors.New("the kernel gives no pidfd (Linux 5.3)"), cmd.Process.Kill())
	}
	err := unix.SetNonblock(fd, true) // or nothing could wait for it beside others
	c := &companion{pid: cmd.Process.Pid, argv: cmd.Args, file: os.NewFile(uintptr(fd), "pidfd")}
	if err == nil {
		err = os.WriteFile(mark, []byte(strconv.Itoa(c.pid)), 0o600)
	}
	if err != nil {
		return nil, errors.Join(err, c.kill(), c.file.Close())
	}
	return c, nil
}

// findCompanion is the living process that a pid file names; nil for none.
func findCompanion(mark string) *companion {
	b, err := os.ReadFile(mark)
	if err != nil {
		return nil
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return nil
	}
	return openCompanion(pid, mark)
}

// openCompanion is a living process with the mark among its arguments; nil for any other.
func openCompanion(pid int, mark string) *companion {
	argv := arguments(pid)
	if !slices.Contains(argv, mark) {
		return nil
	}
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil
	}
	c := &companion{pid: pid, argv: argv, file: os.NewFile(uintptr(fd), "pidfd")}
	// Now the pid is pinned: what it was before need not be what it is.
	if c.ended() || !slices.Contains(arguments(pid), mark) {
		c.file.Close()
		return nil
	}
	return c
}

// arguments of a process; those of a zombie are none.
func arguments(pid int) []string {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	if err != nil {
		return nil
	}
	return strings.Split(string(bytes.TrimRight(b, "\x00")), "\x00")
}

func (c *companion) ended() bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(c.file.Fd()), Events: unix.POLLIN}}, 0)
	return err != nil && !errors.Is(err, unix.EINTR) || n > 0
}

// wait returns when the process has ended; with an error when it is watched no more.
func (c *companion) wait() error {
	raw, err := c.file.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Read(func(fd uintptr) bool {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		return n > 0 || err != nil && !errors.Is(err, unix.EINTR)
	})
}

// kill ends the process and returns when it has ended: its tap is gone then.
func (c *companion) kill() error {
	raw, err := c.file.SyscallConn()
	if err != nil {
		return err
	}
	if cerr := raw.Control(func(fd uintptr) { err = unix.PidfdSendSignal(int(fd), unix.SIGKILL, nil, 0) }); cerr != nil {
		return cerr
	}
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err == nil {
		err = c.file.SetReadDeadline(time.Now().Add(endWithin))
	}
	if err == nil {
		err = c.wait()
	}
	if err != nil {
		return fmt.Errorf("cannot end process %d: %w", c.pid, err)
	}
	return nil
}

// endCompanions ends all processes with a mark, those that begin meanwhile too, and removes the pid file. Idempotent.
func endCompanions(mark string) error {
	for {
		found := false
		dirs, err := filepath.Glob("/proc/[0-9]*")
		if err != nil {
			return err
		}
		for _, dir := range dirs {
			pid, err := strconv.Atoi(filepath.Base(dir))
			if err != nil {
				continue
			}
			c := openCompanion(pid, mark)
			if c == nil {
				continue
			}
			found = true
			err = c.kill()
			c.file.Close()
			if err != nil {
				return err
			}
		}
		if !found {
			break
		}
	}
	if err := os.Remove(mark); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
