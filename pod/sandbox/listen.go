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
	"sync/atomic"
	"syscall"

	"github.com/pcompose/pcompose/pod"
)

// listener is a host port held by a listening socket, which is both the claim on the port and the way in for
// what no rule translates: localhost.
type listener struct {
	// port is as bound: HostPort is never 0. chosen says that the kernel chose it.
	port   pod.Port
	chosen bool
	socket hostSocket
	// target is the port in the pod; the proxy reads it for each connection.
	target atomic.Uint32
	proxy  *proxy
}

// hostSocket is a *net.TCPListener or a *net.UDPConn.
type hostSocket interface {
	syscall.Conn
	Close() error
}

// bind takes a host port. The socket of host ip "" is one for IPv4 and IPv6, where the host has both.
func bind(p pod.Port) (*listener, error) {
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
		s, err := config.ListenPacket(context.Background(), "udp"+family, at)
		if err != nil {
			return nil, err
		}
		l.socket, addr = s.(hostSocket), s.LocalAddr()
	default:
		return nil, fmt.Errorf("protocol %q is neither tcp nor udp", p.Protocol)
	}
	bound, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return nil, errors.Join(err, l.socket.Close())
	}
	l.port.HostPort = bound.Port()
	l.proxy = newProxy()
	return l, nil
}

// serve starts the one goroutine of the port.
func (l *listener) serve(dial dialer) {
	l.target.Store(uint32(l.port.ContainerPort))
	to := func() (net.Conn, error) { return dial(l.port.Protocol, uint16(l.target.Load())) }
	switch s := l.socket.(type) {
	case *net.TCPListener:
		go l.proxy.serveTCP(s, to)
	case *net.UDPConn:
		go l.proxy.serveUDP(s, to)
	}
}

// retarget makes the port lead to another container's port. Connections there are stay where they are.
func (l *listener) retarget(p pod.Port) {
	l.port.Container, l.port.ContainerPort = p.Container, p.ContainerPort
	l.target.Store(uint32(p.ContainerPort))
}

// close gives the host port up and ends the connections made through its proxy.
func (l *listener) close() error {
	return errors.Join(l.socket.Close(), l.proxy.close())
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

// key says everything there is to know of a listener, so that its socket alone brings it back.
func (l *listener) key() string {
	how := "asked"
	if l.chosen {
		how = "chosen"
	}
	p := l.port
	return strings.Join([]string{listenPrefix, p.Protocol, p.HostIP, strconv.Itoa(int(p.HostPort)), p.Container,
		strconv.Itoa(int(p.ContainerPort)), how}, "/")
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
		l, err := adoptListener(key, files[key])
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

func adoptListener(key string, file *os.File) (*listener, error) {
	part := strings.Split(key, "/")
	if len(part) != 7 {
		return nil, errors.New("it is no key of a published port")
	}
	host, err1 := strconv.ParseUint(part[3], 10, 16)
	target, err2 := strconv.ParseUint(part[5], 10, 16)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	l := &listener{chosen: part[6] == "chosen", proxy: newProxy(), port: pod.Port{Protocol: part[1], HostIP: part[2],
		HostPort: uint16(host), Container: part[4], ContainerPort: uint16(target)}}
	var socket any
	var err error
	if l.port.Protocol == pod.UDP {
		socket, err = net.FilePacketConn(file)
	} else {
		socket, err = net.FileListener(file)
	}
	if err != nil {
		return nil, err
	}
	var ok bool
	if l.socket, ok = socket.(hostSocket); !ok {
		return nil, errors.New("it is no TCP or UDP socket")
	}
	return l, nil
}

func ports(ls []*listener) []pod.Port {
	ps := make([]pod.Port, 0, len(ls))
	for _, l := range ls {
		ps = append(ps, l.port)
	}
	return ps
}
