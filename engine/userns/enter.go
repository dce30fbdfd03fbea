package userns

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Enter has the program go on in the user's namespaces. Root, and who is inside, gets nil. Everybody else gets an error, or
// does not get back: the program starts again with the same arguments, in the namespaces that are there or in ones that
// are made, so call it before anything is read or written. Two that come at once end in one namespace. warn takes what
// the namespace lacks, once until the next boot, or until that is something else.
//
// Safe against a kill at any moment: a namespace lives by the processes in it.
func Enter(dir string, warn func(string)) error {
	if os.Geteuid() == 0 {
		return nil
	}
	if err := enter(dir, warn); err != nil {
		return fmt.Errorf("cannot run pods as user %d: %w%s", os.Geteuid(), err, hint(err))
	}
	return nil
}

func enter(dir string, warn func(string)) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	record, err := os.OpenFile(filepath.Join(dir, recordFile), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	defer record.Close()
	// Held until the one who makes the namespaces is in them: joiners wait meanwhile.
	if err := lock(record); err != nil {
		return err
	}
	if held(record) {
		if err := unix.Flock(int(record.Fd()), unix.LOCK_UN); err != nil {
			return err
		}
		return restart("join")
	}
	inode, said := recall(record)
	ns, err := survivor(inode)
	if err != nil {
		return err
	}
	n := newborn{ns: ns, lacks: said}
	if ns == nil {
		if n, err = bear(); err != nil {
			return err
		}
	}
	defer n.close()
	if n.lacks != "" && n.lacks != said {
		warn(n.lacks)
	}
	if err := remember(record, n.ns, n.lacks); err != nil {
		return err
	}
	// These go with the program through its restart.
	var inherited []string
	for _, f := range []*os.File{n.ns, record, n.pipe} {
		fd := -1
		if f != nil {
			if fd, err = unix.FcntlInt(f.Fd(), unix.F_DUPFD, 3); err != nil {
				return err
			}
		}
		inherited = append(inherited, strconv.Itoa(fd))
	}
	return restart("enter " + strings.Join(inherited, " ") + " " + strconv.Itoa(n.helper))
}

// restart replaces the program by itself.
func restart(what string) error {
	env := append(os.Environ(), order+"="+what)
	return fmt.Errorf("cannot start again: %w", unix.Exec("/proc/self/exe", os.Args, env))
}

func lock(f *os.File) error {
	for {
		// EINTR: flock(2) is not restarted after the Go runtime's preemption signal.
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// held says whether a process is in the namespaces: it has a lock on the record.
func held(record *os.File) bool {
	l := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	return unix.FcntlFlock(record.Fd(), unix.F_GETLK, &l) == nil && l.Type != unix.F_UNLCK && l.Pid > 0
}

// newborn is a user namespace with nobody in it but a helper that waits for its pipe to close.
type newborn struct {
	ns, pipe *os.File
	// lacks is what containers go without in it, with what to do; "" for nothing.
	lacks string
	// helper is a child of this process, 0 where there is none.
	helper int
}

func (n newborn) close() {
	n.ns.Close()
	if n.pipe != nil {
		n.pipe.Close()
	}
	if n.helper > 0 {
		var status unix.WaitStatus
		_, _ = unix.Wait4(n.helper, &status, 0, nil) // it ends with its pipe, and has nothing to tell
	}
}

// bear makes a user namespace with the IDs that the user may have.
func bear() (n newborn, err error) {
	read, write, err := os.Pipe()
	if err != nil {
		return n, err
	}
	defer read.Close()
	n.pipe = write
	helper := &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{"pcompose-userns"}, Env: []string{order + "=wait"}, Stdin: read,
		SysProcAttr: &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER},
	}
	if err := helper.Start(); err != nil {
		write.Close()
		var errno syscall.Errno
		if errors.As(err, &errno) {
			err = errno // "fork/exec /proc/self/exe" is nothing that a user knows
		}
		return n, fmt.Errorf("cannot make a user namespace: %w", err)
	}
	n.helper = helper.Process.Pid
	if n.ns, err = os.Open(fmt.Sprintf("/proc/%d/ns/user", n.helper)); err == nil {
		n.lacks, err = mapIDs(n.helper)
	}
	if err != nil {
		n.close()
		return newborn{}, err
	}
	return n, nil
}
