// Package resolver is the names of a pod as DNS: a server for each of its cells, which answers what the pod knows and
// passes everything else on.
//
// It answers on sockets that it is given, those of a cell's 127.0.0.11, and asks the servers of the host from where
// it runs, so that a server on the host's loopback serves the pod too. It knows no file and no clock but its
// deadlines, and keeps nothing between two questions.
package resolver

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Port of the answers, and Addr on which a cell reaches them: docker's, which images rely on.
const Port = 53

// Addr is the address of the resolver in every cell.
func Addr() netip.Addr { return netip.AddrFrom4([4]byte{127, 0, 0, 11}) }

// View is what one cell can see. It is never changed once given; a new one takes its place.
type View struct {
	// Names are lower case and without a dot at the end. A name without addresses exists all the same: the answer is
	// empty, and nobody else is asked.
	Names map[string][]netip.Addr
	// Pointers are the names of addresses.
	Pointers map[netip.Addr]string
	// Services are the answers to SRV, by "_http._tcp.web".
	Services map[string][]Service
	// Elsewhere is what the cell can see of other pods, made for each question that the others do not answer; nil for
	// nothing. What the pod itself has goes before it.
	Elsewhere func() View
	// Upstream gives the servers that are asked for other names, one after the other; nil, as in a cell without a way
	// out, asks none.
	Upstream func() []netip.AddrPort
	// Dial reaches those servers; nil is from where the resolver runs.
	Dial func(network string, to netip.AddrPort) (net.Conn, error)
}

// dial reaches a server.
func (v *View) dial(network string, to netip.AddrPort) (net.Conn, error) {
	if v.Dial != nil {
		return v.Dial(network, to)
	}
	return net.DialTimeout(network, to.String(), Timeout)
}

// Service is where a port of a service is: an answer to SRV (RFC 2782).
type Service struct {
	Target string
	Port   uint16
}

// Server answers one cell. Its methods may be called from several goroutines.
type Server struct {
	view atomic.Pointer[func() View]
	// turn goes round the replicas of a name.
	turn atomic.Uint32
	udp  net.PacketConn
	tcp  net.Listener
	// asking has an entry for each datagram that waits for an upstream server.
	asking chan struct{}
	over   chan struct{}
	once   sync.Once
}

// maxAsking bounds the questions of one cell that wait for upstream servers, so that none can use up our descriptors.
const maxAsking = 128

// Timeout is of a question to one upstream server, idleTimeout of a silent TCP connection. Five seconds is what resolv.conf(5)
// waits for each.
const (
	Timeout     = 5 * time.Second
	idleTimeout = 10 * time.Second
)

// New answers on two sockets, until Close, from an empty view. It takes the sockets over.
func New(udp net.PacketConn, tcp net.Listener) *Server {
	s := &Server{udp: udp, tcp: tcp, asking: make(chan struct{}, maxAsking), over: make(chan struct{})}
	s.Show(func() View { return View{} })
	go s.serveUDP()
	go s.serveTCP()
	return s
}

// Show makes the server answer from a view, which is made when the next question comes, if one does. Answers that are on
// their way come from the one before.
func (s *Server) Show(view func() View) {
	view = sync.OnceValue(view)
	s.view.Store(&view)
}

// now is the view to answer from.
func (s *Server) now() *View {
	v := (*s.view.Load())()
	return &v
}

// LocalAddr is where it answers UDP.
func (s *Server) LocalAddr() net.Addr { return s.udp.LocalAddr() }

// Close ends the server. Idempotent.
func (s *Server) Close() error {
	s.once.Do(func() { close(s.over) })
	return errors.Join(closed(s.udp.Close()), closed(s.tcp.Close()))
}

func closed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// maxMessage is the largest message that DNS has.
const maxMessage = 65535

func (s *Server) serveUDP() {
	buffer := make([]byte, maxMessage)
	for {
		n, from, err := s.udp.ReadFrom(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// An ICMP error about an answer that nobody waited for; the socket is as good as before.
			continue
		}
		question := append([]byte(nil), buffer[:n]...)
		view := s.now()
		if reply, done := s.answer(view, question, false); done {
			_, _ = s.udp.WriteTo(reply, from) // who asked may be gone
			continue
		}
		select {
		case s.asking <- struct{}{}:
		default:
			continue // too many wait already: who asked asks again
		}
		go func() {
			_, _ = s.udp.WriteTo(forward(view, question, false, s.over), from)
			<-s.asking
		}()
	}
}

func (s *Server) serveTCP() {
	for {
		conn, err := s.tcp.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// No descriptor is left: the client in the queue is served when one is.
			select {
			case <-time.After(100 * time.Millisecond):
				continue
			case <-s.over:
				return
			}
		}
		go s.converse(conn)
	}
}

// converse answers the questions of a TCP connection, one after the other (RFC 7766).
func (s *Server) converse(conn net.Conn) {
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-s.over:
		case <-done:
		}
		conn.Close()
	}()
	for {
		if err := conn.SetDeadline(time.Now().Add(idleTimeout)); err != nil {
			return
		}
		question, err := readMessage(conn)
		if err != nil {
			return
		}
		view := s.now()
		reply, done := s.answer(view, question, true)
		if !done {
			reply = forward(view, question, true, s.over)
		}
		if err := conn.SetDeadline(time.Now().Add(idleTimeout)); err != nil || writeMessage(conn, reply) != nil {
			return
		}
	}
}
