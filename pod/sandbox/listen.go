package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/pcompose/pcompose/pod"
)

// listener is a host port held by a listening socket, which is both the claim on the port and the way in for
// what no rule translates: localhost.
type listener struct {
	// port is as bound: HostPort is never 0; its container is the first of the backends. chosen says that the
	// kernel chose it.
	port   pod.Port
	chosen bool
	socket hostSocket
	// backends are the container's port, or those of replicas; inner is the pod's port that leads there, 0 where the
	// host can send to the container's. The sandbox guards both.
	backends []backend
	inner    uint16
	// proxy carries what comes by the socket through the door, unless another process does.
	proxy *proxy
	door  *door
}

// hostSocket is a *net.TCPListener or a *net.UDPConn.
type hostSocket interface {
	syscall.Conn
	Close() error
}

// bind takes a host port. The socket of host ip "" is one for IPv4 and IPv6, where the host has both. beside lets it be
// one that is vacated.
func bind(p pod.Port, beside bool) (*listener, error) {
	l := &listener{port: p, chosen: p.HostPort == 0}
	family := ""
	if p.HostIP != "" {
		ip, err := netip.ParseAddr(p.HostIP)
		if err != nil {
			return nil, fmt.Errorf("host ip %q is no address", p.HostIP)
		}
		family = "6"
		if ip.Is4() {
			family = "4"
		}
	}
	at := net.JoinHostPort(p.HostIP, strconv.Itoa(int(p.HostPort)))
	var config net.ListenConfig
	// The proxy gains nothing by MPTCP, and such sockets cost more.
	config.SetMultipathTCP(false)
	var addr net.Addr
	switch p.Protocol {
	case pod.TCP:
		s, err := config.Listen(context.Background(), "tcp"+family, at)
		if err != nil {
			return nil, err
		}
		l.socket, addr = s.(hostSocket), s.Addr()
	case pod.UDP:
		if beside {
			config.Control = func(_, _ string, c syscall.RawConn) error {
				var inner error
				err := c.Control(func(fd uintptr) { inner = reuseAddress(int(fd), 1) })
				return errors.Join(err, inner)
			}
		}
		s, err := config.ListenPacket(context.Background(), "udp"+family, at)
		if err != nil {
			return nil, err
		}
		l.socket, addr = s.(hostSocket), s.LocalAddr()
		if err := control(l.socket, func(fd int) error { return reuseAddress(fd, 0) }); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	default:
		return nil, fmt.Errorf("protocol %q is neither tcp nor udp", p.Protocol)
	}
	bound, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return nil, errors.Join(err, l.socket.Close())
	}
	l.port.HostPort = bound.Port()
	l.backends = []backend{{p.Container, p.ContainerPort}}
	l.proxy, l.door = newProxy(), &door{protocol: p.Protocol}
	return l, nil
}

// serve starts the one goroutine of the port.
func (l *listener) serve() {
	switch socket := l.socket.(type) {
	case *net.TCPListener:
		go l.proxy.serveTCP(socket, l.door)
	case *net.UDPConn:
		go l.proxy.serveUDP(socket, l.door)
	}
}

// retarget makes the port lead to other containers' ports. Connections there are stay where they are.
func (l *listener) retarget(to []backend) {
	l.backends = to
	l.port.Container, l.port.ContainerPort = to[0].container, to[0].port
}

// close gives the host port up and ends the connections made through its proxy.
func (l *listener) close() error {
	return errors.Join(l.socket.Close(), l.proxy.close())
}

// vacate is close for a port that is to be bound again, to another address, at once: whoever else holds a copy of the
// socket, the keeper say, is not in the way. A TCP socket that is shut down listens no more, and its port is free to those with
// SO_REUSEADDR (socket(7)), which Go sets; one of UDP is bound as long as it lives, and allows another beside it.
func (l *listener) vacate() error {
	err := control(l.socket, func(fd int) error {
		if l.port.Protocol == pod.UDP {
			return reuseAddress(fd, 1)
		}
		return unix.Shutdown(fd, unix.SHUT_RDWR)
	})
	return errors.Join(err, l.close())
}

// reuseAddress sets SO_REUSEADDR to 0 or 1.
func reuseAddress(fd, value int) error {
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, value)
}

// control does something with a socket's descriptor.
func control(s syscall.Conn, do func(fd int) error) error {
	c, err := s.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	err = c.Control(func(fd uintptr) { inner = do(int(fd)) })
	return errors.Join(err, inner)
}

// is says whether the listener is already what a port asks for, its target aside.
func (l *listener) is(p pod.Port) bool {
	if l.port.Protocol != p.Protocol || l.port.HostIP != p.HostIP {
		return false
	}
	if p.HostPort == 0 {
		return l.chosen && l.port.Container == p.Container && l.port.ContainerPort == p.ContainerPort
	}
	return l.port.HostPort == p.HostPort
}

const listenPrefix = "listen"

// key says everything there is to know of a listener and one of its backends, so that its socket alone brings it
// back: "listen/tcp/<host ip>/<host port>/<container>/<port>/asked", and the pod-side port where there is one.
func (l *listener) key(b backend) string {
	how := "asked"
	if l.chosen {
		how = "chosen"
	}
	p := l.port
	parts := []string{listenPrefix, p.Protocol, p.HostIP, strconv.Itoa(int(p.HostPort)), b.container, strconv.Itoa(int(b.port)), how}
	if l.inner != 0 {
		parts = append(parts, strconv.Itoa(int(l.inner)))
	}
	return strings.Join(parts, "/")
}

// adoptListeners makes listeners of kept sockets, in the order of their keys. It closes none of the files.
func adoptListeners(files map[string]*os.File) ([]*listener, error) {
	var keys []string
	for key := range files {
		if strings.HasPrefix(key, listenPrefix+"/") {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	var ls []*listener
	for _, key := range keys {
		l, err := readKey(key)
		if err == nil {
			if i := slices.IndexFunc(ls, l.sameSocket); i >= 0 {
				ls[i].backends = append(ls[i].backends, l.backends...)
				continue
			}
			err = l.adoptSocket(files[key])
		}
		if err != nil {
			err = fmt.Errorf("cannot adopt %q: %w", key, err)
			for _, l := range ls {
				err = errors.Join(err, l.close())
			}
			return nil, err
		}
		ls = append(ls, l)
	}
	return ls, nil
}

// sameSocket says whether another listener is the same host port.
func (l *listener) sameSocket(o *listener) bool {
	return l.port.Protocol == o.port.Protocol && l.port.HostIP == o.port.HostIP && l.port.HostPort == o.port.HostPort
}

// readKey makes a listener without its socket.
func readKey(key string) (*listener, error) {
	part := strings.Split(key, "/")
	if len(part) != 7 && len(part) != 8 {
		return nil, errors.New("it is no key of a published port")
	}
	var numbers [3]uint16
	for i, s := range append([]string{part[3], part[5]}, part[7:]...) {
		n, err := strconv.ParseUint(s, 10, 16)
		if err != nil {
			return nil, err
		}
		numbers[i] = uint16(n)
	}
	l := &listener{chosen: part[6] == "chosen", inner: numbers[2], proxy: newProxy(), door: &door{protocol: part[1]},
		port: pod.Port{Protocol: part[1], HostIP: part[2], HostPort: numbers[0]}}
	l.retarget([]backend{{part[4], numbers[1]}})
	return l, nil
}

func (l *listener) adoptSocket(file *os.File) error {
	var socket any
	var err error
	if l.port.Protocol == pod.UDP {
		socket, err = net.FilePacketConn(file)
	} else {
		socket, err = net.FileListener(file)
	}
	if err != nil {
		return err
	}
	var ok bool
	if l.socket, ok = socket.(hostSocket); !ok {
		return errors.New("it is no TCP or UDP socket")
	}
	return nil
}

// ports are the published ports, one for each backend.
func ports(ls []*listener) []pod.Port {
	ps := make([]pod.Port, 0, len(ls))
	for _, l := range ls {
		for _, b := range l.backends {
			p := l.port
			p.Container, p.ContainerPort = b.container, b.port
			ps = append(ps, p)
		}
	}
	return ps
}
