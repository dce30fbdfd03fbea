package usernet

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"
)

const (
	// flowIdle is how long a flow of datagrams is remembered after the last of them.
	flowIdle = 90 * time.Second
	// maxFlows bounds what is remembered; further ones are dropped.
	maxFlows = 4096
	datagram = 1 << 16
)

// flows are the pod's flows of datagrams.
type flows struct {
	slots   chan struct{}
	buffers sync.Pool
}

func newFlows() *flows {
	return &flows{slots: make(chan struct{}, maxFlows), buffers: sync.Pool{New: func() any { return new([datagram]byte) }}}
}

// carry begins a flow with its first datagram, in the goroutine that reads the tap.
func (f *flows) carry(r *udp.ForwarderRequest) {
	id := r.ID()
	to := address(id.LocalAddress, id.LocalPort)
	if !reachable(to.Addr()) {
		return
	}
	select {
	case f.slots <- struct{}{}:
	default:
		return
	}
	var queue waiter.Queue
	ep, err := r.CreateEndpoint(&queue)
	if err != nil {
		<-f.slots
		return
	}
	pod := gonet.NewUDPConn(&queue, ep)
	go func() {
		defer func() { <-f.slots }()
		defer pod.Close()
		host, err := net.Dial("udp", to.String()) // connected: only whom the pod has asked answers
		if err != nil {
			return
		}
		defer host.Close()
		back := make(chan struct{})
		go func() {
			defer close(back)
			f.pass(pod, host)
			_ = pod.SetReadDeadline(time.Unix(1, 0)) // the other direction ends with it
		}()
		f.pass(host, pod)
		_ = host.SetReadDeadline(time.Unix(1, 0))
		<-back
	}()
}

// pass carries datagrams until none has come either way for flowIdle.
func (f *flows) pass(to, from net.Conn) {
	buf := f.buffers.Get().(*[datagram]byte)
	defer f.buffers.Put(buf)
	for {
		_ = from.SetReadDeadline(time.Now().Add(flowIdle))
		n, err := from.Read(buf[:])
		if errors.Is(err, io.EOF) || err != nil {
			return
		}
		_ = to.SetReadDeadline(time.Now().Add(flowIdle))
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}
