package sandbox

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pcompose/pcompose/pod"
)

// dialer connects to a port of the pod, from inside it.
type dialer func(protocol string, port uint16) (net.Conn, error)

// dialTimeout bounds the wait for a service that does not accept: its queue is full.
const dialTimeout = 10 * time.Second

// dial connects to the pod's own address in its namespace, so that it needs no route from the host (rootless has
// none). A TCP service that listens on IPv6 alone is reached too; for UDP nobody says that nobody listens.
func (s *Sandbox) dial(protocol string, port uint16) (net.Conn, error) {
	v4, v6, _ := s.uplink.address()
	conn, err := s.cells[0].connect(protocol, netip.AddrPortFrom(v4, port))
	if errors.Is(err, unix.ECONNREFUSED) && v6.IsValid() {
		return s.cells[0].connect(protocol, netip.AddrPortFrom(v6, port))
	}
	return conn, err
}

// connect makes a connected socket of the namespace. Only making it needs the namespace's thread; waiting for the
// connection is left to the runtime's poller.
func (n *namespace) connect(protocol string, to netip.AddrPort) (net.Conn, error) {
	kind := unix.SOCK_STREAM
	if protocol == pod.UDP {
		kind = unix.SOCK_DGRAM
	}
	family, sockaddr := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Addr: to.Addr().As16(), Port: int(to.Port())})
	if to.Addr().Is4() {
		family, sockaddr = unix.AF_INET, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())}
	}
	var fd int
	if err := n.do(func() (err error) {
		fd, err = unix.Socket(family, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		return err
	}); err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), to.String())
	defer f.Close()
	if err := f.SetDeadline(time.Now().Add(dialTimeout)); err != nil {
		return nil, err
	}
	if err := connect(f, sockaddr); err != nil {
		return nil, err
	}
	return net.FileConn(f)
}

func connect(f *os.File, to unix.Sockaddr) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	started := false
	var result error
	err = raw.Write(func(fd uintptr) (done bool) {
		if !started {
			started = true
			result = unix.Connect(int(fd), to)
			return result != unix.EINPROGRESS
		}
		code, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		if err != nil || code != 0 {
			result = unix.Errno(code)
			if err != nil {
				result = err
			}
			return true
		}
		// The poller also wakes for what the socket was before connect(2): it is connected when it has a peer.
		_, result = unix.Getpeername(int(fd))
		return result != unix.ENOTCONN
	})
	return errors.Join(err, result)
}
