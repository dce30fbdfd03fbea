package sandbox

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// proxy carries connections from a held host port into the pod. At rest it is one waiting goroutine and no buffer.
type proxy struct {
	mu sync.Mutex
	// open are the connections of both sides; nil once closed. A socket left open in the pod's namespace would
	// keep the namespace alive. Those into the pod have their cell.
	open map[io.Closer]*namespace
	// over is closed with the proxy.
	over    chan struct{}
	vessels vessels
}

func newProxy() *proxy {
	return &proxy{open: map[io.Closer]*namespace{}, over: make(chan struct{})}
}

// track remembers a connection until forget; false, and the connection closed, where the proxy is closed.
func (p *proxy) track(c io.Closer, cell *namespace) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open == nil {
		c.Close()
		return false
	}
	p.open[c] = cell
	return true
}

func (p *proxy) forget(c io.Closer) {
	c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, c)
}

// leave ends the connections into a cell.
func (p *proxy) leave(cell *namespace) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c, in := range p.open {
		if in == cell {
			c.Close()
		}
	}
}

// close ends all connections. Idempotent.
func (p *proxy) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open == nil {
		return nil
	}
	close(p.over)
	for c := range p.open {
		c.Close()
	}
	p.open = nil
	p.vessels.close()
	return nil
}

// serveTCP accepts until the listener is closed.
func (p *proxy) serveTCP(l *net.TCPListener, to *door) {
	for {
		client, err := l.AcceptTCP()
		switch {
		case err == nil:
			go p.carryTCP(client, to)
		case exhausted(err):
			// No descriptor or memory is left, and accept(2) fails at once until one is: wait rather than spin.
			select {
			case <-time.After(100 * time.Millisecond):
			case <-p.over:
				return
			}
		case errors.Is(err, unix.ECONNABORTED):
		default:
			return
		}
	}
}

func exhausted(err error) bool {
	return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) || errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.ENOMEM)
}

// carryTCP joins a client to the pod until both directions have ended.
func (p *proxy) carryTCP(client *net.TCPConn, to *door) {
	if !p.track(client, nil) {
		return
	}
	defer p.forget(client)
	addr, _ := client.RemoteAddr().(*net.TCPAddr)
	from := addr.AddrPort()
	if from.Addr().Unmap().IsLoopback() {
		_ = control(client, stayHere)
	}
	passage, err := to.dial(from)
	if err != nil {
		// Nobody listens: the client gets a reset, as near as can be to the refusal it would get without us.
		_ = client.SetLinger(0)
		return
	}
	server, ok := passage.Conn.(*net.TCPConn)
	if !ok || !p.track(server, passage.to.cell) {
		return
	}
	defer p.forget(server)
	p.join(client, server)
}

// join carries both directions until both have ended.
func (p *proxy) join(client, server *net.TCPConn) {
	back := make(chan struct{})
	go func() {
		defer close(back)
		p.stream(client, server)
	}()
	p.stream(server, client)
	<-back
}
