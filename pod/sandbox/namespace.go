package sandbox

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/pcompose/pcompose/pod"
)

// threadNetns is the namespace of the thread that opens it, where /proc/self is that of the first thread.
const threadNetns = "/proc/thread-self/ns/net"

// namespace is a network namespace, alive as long as its file is open.
type namespace struct {
	name string
	mode pod.NetworkMode
	file *os.File
	// sources says that its sockets may take addresses of clients.
	sources bool
}

// newNamespace makes a namespace with loopback up and the pod's sysctls.
func newNamespace(name string) (*namespace, error) {
	ns := &namespace{name: name}
	err := onOwnThread(func() (restored bool, err error) {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return true, err
		}
		// The thread stays in the new namespace and is thrown away: cheaper and safer than going back.
		if ns.file, err = os.OpenFile(threadNetns, os.O_RDONLY, 0); err != nil {
			return false, err
		}
		if err := errors.Join(podSysctls(), loopbackUp()); err != nil {
			return false, errors.Join(err, ns.file.Close())
		}
		return false, nil
	})
	if err != nil {
		return nil, fmt.Errorf("cannot make network namespace of cell %q: %w", name, err)
	}
	return ns, nil
}

// adoptNamespace duplicates a namespace's file, which must be one.
func adoptNamespace(c pod.Cell, file *os.File) (*namespace, error) {
	name := c.Name
	if file == nil {
		return nil, fmt.Errorf("cannot find network namespace of cell %q: no file %q was kept", name, netnsKey(name))
	}
	f, err := duplicate(file)
	if err != nil {
		return nil, fmt.Errorf("cannot duplicate network namespace of cell %q: %w", name, err)
	}
	ns := &namespace{name: name, mode: c.Mode, file: f}
	if kind, err := unix.IoctlRetInt(ns.fd(), unix.NS_GET_NSTYPE); err != nil || kind != unix.CLONE_NEWNET {
		return nil, errors.Join(fmt.Errorf("cannot use %q: it is not a network namespace", netnsKey(name)), f.Close())
	}
	return ns, nil
}

func (n *namespace) fd() int { return int(n.file.Fd()) }

// do runs f with its thread in the namespace. Sockets and files of /proc/sys opened by f stay with the namespace.
func (n *namespace) do(f func() error) error {
	return onOwnThread(func() (restored bool, err error) {
		host, err := unix.Open(threadNetns, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return true, err
		}
		defer unix.Close(host)
		err = n.enter()
		if errors.Is(err, unix.EPERM) && n.is(host) {
			// A user may not enter the host's, and is in it.
			return true, f()
		}
		if err != nil {
			return true, fmt.Errorf("cannot enter network namespace of cell %q: %w", n.name, err)
		}
		err = f()
		// A thread that cannot go back is thrown away; what f did stands.
		return unix.Setns(host, unix.CLONE_NEWNET) == nil, err
	})
}

// is says whether a file is of the same namespace.
func (n *namespace) is(fd int) bool {
	var a, b unix.Stat_t
	return unix.Fstat(n.fd(), &a) == nil && unix.Fstat(fd, &b) == nil && a.Dev == b.Dev && a.Ino == b.Ino
}

// enter moves the thread. The file is held meanwhile: a cell may be taken away while somebody dials into it.
func (n *namespace) enter() error {
	raw, err := n.file.SyscallConn()
	if err != nil {
		return err
	}
	if cerr := raw.Control(func(fd uintptr) { err = unix.Setns(int(fd), unix.CLONE_NEWNET) }); cerr != nil {
		return cerr
	}
	return err
}

// route opens a netlink socket in the namespace.
func (n *namespace) route() (h *netlink.Handle, err error) {
	err = n.do(func() error {
		h, err = netlink.NewHandle(unix.NETLINK_ROUTE)
		return err
	})
	return h, err
}

// onOwnThread runs f on a locked thread, which goes back to the Go runtime if f says it is as it was. It is
// never the first thread: that cannot be thrown away, and /proc/self/net and setns by pid follow it.
func onOwnThread(f func() (restored bool, err error)) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			// While this one is locked the runtime must take another.
			done <- onOwnThread(f)
			runtime.UnlockOSThread()
			return
		}
		restored, err := f()
		if restored {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}

// podSysctls are set in the namespace of the calling thread.
func podSysctls() error {
	for _, s := range []struct {
		name, value string
		optional    bool
	}{
		// Go listens with MPTCP by default, and CRIU cannot dump such sockets; older kernels have none.
		{"net/mptcp/enabled", "0", true},
		// As docker and podman have it: any user may bind port 80 and ping.
		{"net/ipv4/ip_unprivileged_port_start", "0", false},
		{"net/ipv4/ping_group_range", "0 " + strconv.FormatUint(lastGroup(), 10), false},
	} {
		err := writeSysctl(s.name, s.value)
		if err != nil && !(s.optional && errors.Is(err, os.ErrNotExist)) {
			return err
		}
	}
	return nil
}

// lastGroup is the last of the groups from 0 on that this user namespace knows, and that the kernel takes in a range.
func lastGroup() uint64 {
	const most = 1<<31 - 1
	text, err := os.ReadFile("/proc/self/gid_map")
	if err != nil {
		return most
	}
	next := uint64(0)
	for line := range strings.Lines(string(text)) {
		var inside, outside, count uint64
		if n, _ := fmt.Sscan(line, &inside, &outside, &count); n == 3 && inside == next {
			next += count
		}
	}
	return min(max(next, 1)-1, most)
}

// loopbackUp sets lo up by ioctl: no netlink socket for one flag.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	req.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req); err != nil {
		return fmt.Errorf("cannot set loopback up: %w", err)
	}
	return nil
}

func writeSysctl(name, value string) error {
	f, err := os.OpenFile("/proc/sys/"+name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}

// duplicate of a descriptor, which leaves its O_NONBLOCK alone: (*net.TCPListener).File gives one whose Fd method
// makes the listener blocking for everybody who shares it.
func duplicate(c syscall.Conn) (*os.File, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd := -1
	if cerr := raw.Control(func(old uintptr) {
		fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 3)
	}); cerr != nil {
		return nil, cerr
	}
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "sandbox"), nil
}
