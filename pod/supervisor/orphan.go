package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
	"unsafe"

	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/control"
	"github.com/pcompose/pcompose/pod/keeper"
	"golang.org/x/sys/unix"
)

// Containers outlive their keeper: they hold the pod's network namespace and the read ends of their own pipes.
// The next keeper has nothing of theirs, so the supervisor takes it from them.

// takeOrphans adds to kept what the keeper would hold of containers which run and are not its children.
func (s *adoption) takeOrphans() {
	entries, err := os.ReadDir(filepath.Join(s.dir, "containers"))
	if err != nil {
		return
	}
	for _, e := range entries {
		run, err := control.ReadRun(s.bundleDir(e.Name()))
		if err != nil || !runs(run) {
			continue
		}
		b, err := control.ReadBundle(s.bundleDir(e.Name()))
		if err != nil {
			continue
		}
		s.takeFrom(run.Run.PID, map[string]string{
			"netns/" + b.Container.Cell: "ns/net", outKey(b.ID): "fd/1", errKey(b.ID): "fd/2",
		})
	}
}

// takeFrom opens files of a process that kept lacks. Opening a pipe's end through /proc gives the other end too
// (proc(5)): what the container writes can be read again.
func (s *adoption) takeFrom(pid int, paths map[string]string) {
	for key, path := range paths {
		if s.kept[key] != nil {
			continue
		}
		path = fmt.Sprintf("/proc/%d/%s", pid, path)
		if target, err := os.Readlink(path); err != nil || filepath.Base(path) != "net" && !isPipe(target) {
			continue
		}
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			continue
		}
		f := os.NewFile(uintptr(fd), key)
		if _, err := s.keeper.Put(key, f); err != nil {
			s.warn("cannot keep %s: %v", key, err)
		}
		s.kept[key] = []*os.File{f}
	}
}

func isPipe(link string) bool { return len(link) > 5 && link[:5] == "pipe:" }

// runs says whether the process of a run lives.
func runs(run control.Run) bool {
	start, err := keeper.StartTime(run.Run.PID)
	return run.Run.PID != 0 && err == nil && start == run.Start
}

// watchOrphan waits for the end of a process that another process reaps. One that has ended already, and is not reaped yet,
// does not count as running from now on.
func (s *Supervisor) watchOrphan(ctx context.Context, c *container) {
	pid, start := c.run.Run.PID, c.run.Start
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		s.end(ctx, c, time.Now(), pod.UnknownExit)
		return
	}
	if hasEnded(fd, 0) {
		endOrphan(ctx, s, c, fd)
		return
	}
	go func() {
		hasEnded(fd, -1)
		s.post(ctx, func() {
			if c.run.Run.PID != pid || c.run.Start != start || c.ending {
				unix.Close(fd)
				return
			}
			endOrphan(ctx, s, c, fd)
		})
	}()
}

// endOrphan ends a container whose process has ended, once its exit code is known or will not be. It takes the pidfd.
func endOrphan(ctx context.Context, s *Supervisor, c *container, fd int) {
	c.ending = true
	at := time.Now()
	go func() {
		code := exitOf(fd)
		unix.Close(fd)
		s.post(ctx, func() { s.end(ctx, c, at, code) })
	}()
}

// hasEnded waits for the end of a pidfd's process, some milliseconds or -1 for ever, and says whether it came.
func hasEnded(fd, within int) bool {
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, within)
		if !errors.Is(err, unix.EINTR) {
			return n > 0
		}
	}
}

// pidfdInfo is struct pidfd_info of linux/pidfd.h, its first version.
type pidfdInfo struct {
	mask, cgroup uint64
	ids          [11]uint32
	exit         int32
}

const (
	pidfdGetInfo  = 0xC040FF0B // _IOWR(PIDFS_IOCTL_MAGIC, 11, struct pidfd_info), Linux 6.13
	pidfdInfoExit = 1 << 3     // Linux 6.15
)

// exitOf is the exit code of a process that has ended, from its pidfd; unknown before Linux 6.15.
func exitOf(fd int) int {
	info, err := exitInfo(fd)
	if err == nil && info.mask&pidfdInfoExit == 0 {
		// It is told once whoever is the parent has reaped the process, which the pidfd reports as a hang-up. A
		// parent that never does must not hold up the container's end.
		_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd)}}, reapWithin)
		info, err = exitInfo(fd)
	}
	if err != nil || info.mask&pidfdInfoExit == 0 {
		return pod.UnknownExit
	}
	return exitCode(unix.WaitStatus(uint32(info.exit)))
}

// reapWithin is how long the parent of a process that has ended has to reap it, in milliseconds.
const reapWithin = 10_000

// exitInfo asks for the exit code of a pidfd's process. ESRCH says the same as an answer without it: not reaped yet.
func exitInfo(fd int) (pidfdInfo, error) {
	info := pidfdInfo{mask: pidfdInfoExit}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), pidfdGetInfo, uintptr(unsafe.Pointer(&info)))
	switch errno {
	case 0:
		return info, nil
	case unix.ESRCH:
		return pidfdInfo{}, nil
	}
	return info, errno
}
