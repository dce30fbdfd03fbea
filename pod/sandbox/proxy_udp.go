package sandbox

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// udpIdle is how long a client is remembered after the last datagram either way; conntrack takes 120 s for
	// streams, and a client that comes back later only gets another source port in the pod.
	udpIdle = 90 * time.Second
	// udpClientsMax bounds what one port remembers, each a descriptor; a further client takes the place of the one that has
	// been silent for longest.
	udpClientsMax = 2048
	// datagram is more than the largest UDP payload.
	datagram = 1 << 16
)

// udpClient is one peer of a published UDP port and its socket in the pod.
type udpClient struct {
	from netip.AddrPort
	// control has the address the client sent to, as the kernel gave it: the answer must come from there.
	control []byte
	server  *passage
	// last is when it last sent a datagram, in nanoseconds since 1970.
	last atomic.Int64
}

// udpClients are the clients of one port.
type udpClients struct {
	*proxy
	socket  *net.UDPConn
	to      *door
	buffers *sync.Pool
	mu      sync.Mutex
	by      map[netip.AddrPort]*udpClient
}

// serveUDP passes datagrams until the socket is closed. Each client costs one goroutine and no buffer while idle.
func (p *proxy) serveUDP(socket *net.UDPConn, to *door) {
	reportDestination(socket)
	clients := &udpClients{proxy: p, socket: socket, to: to, by: map[netip.AddrPort]*udpClient{},
		buffers: &sync.Pool{New: func() any { return new([datagram]byte) }}}
	control := make([]byte, 128)
	for {
		if readable(socket) != nil {
			return
		}
		buf := clients.buffers.Get().(*[datagram]byte)
		n, nc, _, from, err := socket.ReadMsgUDPAddrPort(buf[:], control)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			if c := clients.find(from, control[:nc]); c != nil {
				// A datagram that cannot be delivered is lost, as on any network.
				now := time.Now()
				c.last.Store(now.UnixNano())
				_ = c.server.SetReadDeadline(now.Add(udpIdle))
				_, _ = c.server.Write(buf[:n])
			}
		}
		clients.buffers.Put(buf)
	}
}

// find is the client of an address, a new one where there is none; nil where there can be none.
func (u *udpClients) find(from netip.AddrPort, control []byte) *udpClient {
	u.mu.Lock()
	c, full := u.by[from], len(u.by) >= udpClientsMax
	u.mu.Unlock()
	// One whose backend is not ready begins anew with another; what it has asked for may still be answered.
	if c != nil && u.to.keeps(c.server) {
		return c
	}
	if c == nil && full {
		u.forgetOldest()
	}
	if c = u.newClient(from, control, u.to); c == nil {
		return nil
	}
	u.mu.Lock()
	u.by[from] = c
	u.mu.Unlock()
	go func() {
		u.answer(u.socket, c, u.buffers)
		u.mu.Lock()
		defer u.mu.Unlock()
		if u.by[from] == c {
			delete(u.by, from)
		}
	}()
	return c
}

// forgetOldest makes room for a client.
func (u *udpClients) forgetOldest() {
	u.mu.Lock()
	defer u.mu.Unlock()
	var oldest *udpClient
	for _, c := range u.by {
		if oldest == nil || c.last.Load() < oldest.last.Load() {
			oldest = c
		}
	}
	if oldest == nil { // they have all just ended
		return
	}
	delete(u.by, oldest.from)
	oldest.server.Close() // which ends its goroutine
}

func (p *proxy) newClient(from netip.AddrPort, control []byte, to *door) *udpClient {
	server, err := to.dial(from)
	if err != nil || !p.track(server.Conn, server.to.cell) {
		return nil
	}
	return &udpClient{from: from, control: append([]byte(nil), control...), server: server}
}

// answer passes datagrams from the pod to the client until neither has sent any for udpIdle.
func (p *proxy) answer(socket *net.UDPConn, c *udpClient, buffers *sync.Pool) {
	defer p.forget(c.server.Conn)
	server, ok := c.server.Conn.(*net.UDPConn)
	if !ok {
		return
	}
	for {
		if readable(server) != nil {
			return
		}
		buf := buffers.Get().(*[datagram]byte)
		n, err := server.Read(buf[:])
		if err == nil {
			_ = server.SetReadDeadline(time.Now().Add(udpIdle))
			_, _, _ = socket.WriteMsgUDPAddrPort(buf[:n], c.control, c.from)
		}
		buffers.Put(buf)
		if err != nil && !errors.Is(err, unix.ECONNREFUSED) {
			return
		}
	}
}

// readable waits, without a buffer, until there is a datagram. Errors of the socket are passed over: ECONNREFUSED
// tells that nobody listens in the pod yet, and the client may go on trying.
func readable(c *net.UDPConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Read(func(fd uintptr) bool {
		for {
			// Reading an error clears it (socket(7), SO_ERROR), so this ends.
			_, _, err := unix.Recvfrom(int(fd), nil, unix.MSG_PEEK|unix.MSG_DONTWAIT)
			if err == nil || err == unix.EAGAIN {
				return err == nil
			}
		}
	})
}

// reportDestination asks for each datagram's destination (ip(7), IP_PKTINFO): a socket on every address would
// answer a client of 127.0.0.2 from 127.0.0.1. Where the kernel refuses, it does just that.
func reportDestination(c *net.UDPConn) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
	})
}
