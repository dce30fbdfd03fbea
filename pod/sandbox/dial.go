package sandbox

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pcompose/pcompose/pod"
)

// dialTimeout bounds the wait for a service that does not accept: its queue is full.
const dialTimeout = 10 * time.Second

// door is where a published port leads now.
type door struct {
	protocol string
	mu       sync.Mutex
	// targets are those in service; turn counts the connections.
	targets []target
	turn    int
}

// lead makes the port lead to other targets. Connections there are stay where they are.
func (d *door) lead(to []target) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.targets = to
}

// now are the targets in service.
func (d *door) now() []target {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.targets
}

// passage is a connection to a container.
type passage struct {
	net.Conn
	to target
}

// dial connects a client to the next container in turn. It dials the container's own address in its namespace, so
// that it needs no route from the host (rootless has none). Internal networks let nobody in. A TCP service that
// listens on IPv6 alone is reached too; for UDP nobody says that nobody listens.
func (d *door) dial(client netip.AddrPort) (*passage, error) {
	var err error = unix.ECONNREFUSED
	for _, t := range d.inTurn() {
		if t.internal {
			return nil, unix.ENETUNREACH // it was published when its network was an ordinary one
		}
		var c net.Conn
		for _, addr := range t.addresses(d.protocol, client) {
			if addr.IsValid() && c == nil && errors.Is(err, unix.ECONNREFUSED) {
				c, err = t.cell.connect(d.protocol, netip.AddrPortFrom(addr, t.port), t.sourceFor(client, addr))
			}
		}
		if err == nil {
			return &passage{Conn: c, to: t}, nil
		}
		if !errors.Is(err, unix.ECONNREFUSED) {
			return nil, err
		}
	}
	return nil, err
}

// addresses are those to try. Of two families that of a client whose address is kept is the better one; but for UDP nobody
// would say that nobody listens, and most listen on IPv4.
func (t target) addresses(protocol string, client netip.AddrPort) []netip.Addr {
	if protocol == pod.TCP && t.sourceFor(client, t.v6).IsValid() {
		return []netip.Addr{t.v6, t.v4}
	}
	return []netip.Addr{t.v4, t.v6}
}

// same says whether another target is the same port at the same place, whatever its container is called by now.
func (t target) same(o target) bool {
	return t.cell == o.cell && t.port == o.port && t.v4 == o.v4 && t.v6 == o.v6
}

// inTurn are the targets in service, beginning with the one whose turn it is.
func (d *door) inTurn() []target {
	d.mu.Lock()
	defer d.mu.Unlock()
	ts := d.targets
	if len(ts) < 2 {
		return ts
	}
	d.turn = (d.turn + 1) % len(ts)
	return append(ts[d.turn:len(ts):len(ts)], ts[:d.turn]...)
}

// keeps says whether what a client sends should still go where it went.
func (d *door) keeps(p *passage) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.ContainsFunc(d.targets, p.to.same)
}

// connect makes a connected socket of the namespace, from an address of its own or the given one. Only making it needs the namespace's thread; waiting for the
// connection is left to the runtime's poller.
func (n *namespace) connect(protocol string, to, from netip.AddrPort) (net.Conn, error) {
	return n.connectIn(protocol, to, from, dialTimeout)
}

func (n *namespace) connectIn(protocol string, to, from netip.AddrPort, timeout time.Duration) (net.Conn, error) {
	kind := unix.SOCK_STREAM
	if protocol == pod.UDP {
		kind = unix.SOCK_DGRAM
	}
	family := unix.AF_INET6
	if to.Addr().Is4() {
		family = unix.AF_INET
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
	if protocol == pod.TCP {
		_ = stayHere(fd)
	}
	if from.IsValid() {
		if err := takeSource(fd, family, from); err != nil {
			return nil, err
		}
	}
	if err := f.SetDeadline(time.Now().Add(timeout)); err != nil {
		return nil, err
	}
	if err := connect(f, sockaddr(to)); err != nil {
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
