package sandbox

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// udpIdle is how long a client is remembered after the last datagram either way; conntrack takes 120 s for
	// streams, and a client that comes back later only gets another source port in the pod.
	udpIdle = 90 * time.Second
	// udpClients bounds what one port remembers; datagrams of further clients are dropped.
	udpClients = 1024
	// datagram is more than the largest UDP payload.
	datagram = 1 << 16
)

// udpClient is one peer of a published UDP port and its socket in the pod.
type udpClient struct {
	from netip.AddrPort
	// control has the address the client sent to, as the kernel gave it: the answer must come from there.
	control []byte
	server  *passage
}

// serveUDP passes datagrams until the socket is closed. Each client costs one goroutine and no buffer while idle.
func (p *proxy) serveUDP(socket *net.UDPConn, to *door) {
	reportDestination(socket)
	buffers := &sync.Pool{New: func() any { return new([datagram]byte) }}
	var mu sync.Mutex
	clients := map[netip.AddrPort]*udpClient{}
	control := make([]byte, 128)
	for {
		if readable(socket) != nil {
			return
		}
		buf := buffers.Get().(*[datagram]byte)
		n, nc, _, from, err := socket.ReadMsgUDPAddrPort(buf[:], control)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			mu.Lock()
			c, full := clients[from], len(clients) >= udpClients
			mu.Unlock()
			if c != nil && !to.keeps(c.server) {
				// What it has asked for may still be answered.
				c = nil
			}
			if c == nil && !full {
				c = p.newClient(from, control[:nc], to)
				if c != nil {
					mu.Lock()
					clients[from] = c
					mu.Unlock()
					go func() {
						p.answer(socket, c, buffers)
						mu.Lock()
						if clients[c.from] == c {
							delete(clients, c.from)
						}
						mu.Unlock()
					}()
				}
			}
			if c != nil {
				// A datagram that cannot be delivered is lost, as on any network.
				_ = c.server.SetReadDeadline(time.Now().Add(udpIdle))
				_, _ = c.server.Write(buf[:n])
			}
		}
		buffers.Put(buf)
	}
}

func (p *proxy) newClient(from netip.AddrPort, control []byte, to *door) *udpClient {
	server, err := to.dial(from)
	if err != nil || !p.track(server.Conn, server.cell) {
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
