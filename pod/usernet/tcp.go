package usernet

import (
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

const (
	// maxDialing bounds the connections that are being made.
	maxDialing = 4096
	// dialTimeout is about what Linux takes to give up by itself (tcp_syn_retries).
	dialTimeout = 130 * time.Second
	// idleProbe is how long nothing must have come before a host is asked whether it lives.
	idleProbe = 5 * time.Minute
	// copySize is that of a connection's buffer in one direction, while something passes.
	copySize = 256 << 10
)

// address of a stack's endpoint.
func address(a tcpip.Address, port uint16) netip.AddrPort {
	addr, _ := netip.AddrFromSlice(a.AsSlice())
	return netip.AddrPortFrom(addr, port)
}

// reachable says whether packets for an address can be carried on: to one host, that is no neighbour on a link of the pod's.
func reachable(a netip.Addr) bool {
	return a.IsValid() && !a.IsMulticast() && !a.IsUnspecified() && !a.IsLoopback() && !(a.Is6() && a.IsLinkLocalUnicast()) &&
		a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// carryTCP connects to the host that a connection of the pod is for, and only then takes it: who is refused there is refused
// here, and who is not answered waits.
func carryTCP(r *tcp.ForwarderRequest) {
	id := r.ID()
	to := address(id.LocalAddress, id.LocalPort)
	if !reachable(to.Addr()) {
		r.Complete(true)
		return
	}
	// The pod's own probes end here: those that find a host dead are ours.
	d := net.Dialer{Timeout: dialTimeout, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: idleProbe}}
	d.SetMultipathTCP(false)
	conn, err := d.Dial("tcp", to.String())
	if err != nil {
		r.Complete(true)
		return
	}
	host := conn.(*net.TCPConn)
	defer host.Close()
	var queue waiter.Queue
	ep, terr := r.CreateEndpoint(&queue)
	if terr != nil { // the pod has given up meanwhile
		r.Complete(true)
		return
	}
	r.Complete(false)
	pod := gonet.NewTCPConn(&queue, ep)
	defer pod.Close()
	join(pod, ep, host)
}

// closer is the half of a connection that ends.
type closer interface {
	io.Writer
	CloseWrite() error
}

// join carries both directions until both have ended, each by itself, or one breaks, which breaks the other end's.
func join(pod *gonet.TCPConn, ep tcpip.Endpoint, host *net.TCPConn) {
	var once sync.Once
	broken := func() {
		once.Do(func() {
			_ = host.SetLinger(0) // a reset, not an end
			_ = host.Close()
			ep.Abort()
		})
	}
	back := make(chan struct{})
	go func() {
		defer close(back)
		if pass(pod, host) != nil {
			broken()
		}
	}()
	if pass(host, pod) != nil {
		broken()
	}
	<-back
}

// pass copies until the source ends, which the destination is told.
func pass(to closer, from io.Reader) error {
	buf := make([]byte, 4<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if _, werr := to.Write(buf[:n]); werr != nil {
				return werr
			}
		}
		if err == io.EOF {
			return to.CloseWrite()
		}
		if err != nil {
			return err
		}
		if n == len(buf) && n < copySize { // a stream, not a conversation
			buf = make([]byte, min(4*n, copySize))
		}
	}
}
