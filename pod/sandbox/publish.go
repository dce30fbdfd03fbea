package sandbox

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/pcompose/pcompose/pod"
)

// PortTaken is the error for a host port that another process, or another container of the pod, listens on.
type PortTaken struct {
	Port pod.Port
	// Owner names who, as pod.TakenPort.Owner does; "" where that cannot be read.
	Owner string
}

func (e *PortTaken) Error() string {
	by := ""
	if e.Owner != "" {
		by = " by " + e.Owner
	}
	return fmt.Sprintf("cannot publish port %s for %q: address already in use%s", hostPort(e.Port), e.Port.Container, by)
}

// Publish makes the published ports of the pod exactly these, while it runs: what is published already stays as it
// is, with its connections. Replicas, members of one service, may be behind one host port: they get
// its connections in turn, those that are Ready. It gives the ports in their order, HostPort 0 replaced by what the kernel chose (the
// same again in a later call). On an error the published ports are what they were before; a port in use is a
// *PortTaken. Idempotent.
func (s *Sandbox) Publish(want []pod.Port) (bound []pod.Port, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("cannot publish ports of pod %q: its sandbox is closed", s.config.Name)
	}
	next := &publication{old: s.listeners, service: func(c string) string { return s.member(c).Service }}
	if err = s.checkTargets(want); err == nil {
		err = next.bind(want)
	}
	if err != nil {
		return nil, errors.Join(err, next.undo(s))
	}
	before := s.routes()
	undo := s.replaceListeners(next, want)
	if err = s.assignInner(); err == nil {
		err = s.steer(before)
	}
	if err == nil {
		err = keepSources(s)
	}
	if err != nil {
		undo()
		return nil, errors.Join(fmt.Errorf("cannot publish ports of pod %q: %w", s.config.Name, err), next.undo(s))
	}
	for i, p := range want {
		p.HostPort = next.by[i].port.HostPort
		bound = append(bound, p)
	}
	errs := []error{lead(s)}
	for _, l := range next.fresh {
		serve(s, l)
	}
	for _, l := range next.dropped() {
		if !slices.Contains(next.vacated, l) {
			errs = append(errs, l.close())
		}
	}
	return bound, errors.Join(errs...)
}

// checkTargets refuses ports of containers whose cell the pod has no way to.
func (s *Sandbox) checkTargets(want []pod.Port) error {
	for _, p := range want {
		if _, err := s.target(backend{p.Container, p.ContainerPort}); err != nil {
			return fmt.Errorf("cannot publish port %s for %q: %w", hostPort(p), p.Container, err)
		}
	}
	return nil
}

// replaceListeners puts what a publication has bound in the place of what was, and gives the way back.
func (s *Sandbox) replaceListeners(next *publication, want []pod.Port) (undo func()) {
	type state struct {
		*listener
		backends []backend
		inner    uint16
	}
	var was []state
	for _, l := range s.listeners {
		was = append(was, state{l, l.backends, l.inner})
	}
	to := map[*listener][]backend{}
	s.listeners = nil
	for i, l := range next.by {
		if to[l] == nil {
			s.listeners = append(s.listeners, l)
		}
		if b := (backend{want[i].Container, want[i].ContainerPort}); !slices.Contains(to[l], b) {
			to[l] = append(to[l], b)
		}
	}
	for l, backends := range to {
		l.retarget(backends)
	}
	return func() {
		s.listeners = nil
		for _, w := range was {
			w.listener.inner = w.inner
			w.retarget(w.backends)
			s.listeners = append(s.listeners, w.listener)
		}
	}
}

// Published are the ports as they are bound.
func (s *Sandbox) Published() []pod.Port {
	s.mu.Lock()
	defer s.mu.Unlock()
	return ports(s.listeners)
}

// publication is a set of published ports on its way to take the place of the old one.
type publication struct {
	old []*listener
	// by has the listener of each wanted port, an old one or a fresh one.
	by    []*listener
	fresh []*listener
	// service joins the containers that may be behind one host port.
	service func(container string) string
	// vacated are old listeners that had to be closed for fresh ones.
	vacated []*listener
}

// bind finds or binds a listener for each port.
func (n *publication) bind(want []pod.Port) error {
	n.by = make([]*listener, len(want))
	// What is kept is settled first: everything else old may be in the way of what is new.
	for i, p := range want {
		n.by[i] = find(n.old, p)
	}
	for i, p := range want {
		if n.by[i] == nil {
			n.by[i] = find(n.fresh, p)
		}
		if n.by[i] == nil {
			l, err := n.bindOne(p)
			if err != nil {
				return err
			}
			n.by[i] = l
			n.fresh = append(n.fresh, l)
		}
		for j := range i {
			if o := want[j]; n.by[j] == n.by[i] && !n.together(o, p) {
				return &PortTaken{Port: p, Owner: fmt.Sprintf("port %d of %q", o.ContainerPort, o.Container)}
			}
		}
	}
	return nil
}

// together says whether two ports may be behind one host port: those of replicas, of which one may be newer than another.
func (n *publication) together(a, b pod.Port) bool {
	if a.Container == b.Container {
		return a.ContainerPort == b.ContainerPort
	}
	service := n.service(a.Container)
	return service != "" && service == n.service(b.Container)
}

func (n *publication) bindOne(p pod.Port) (*listener, error) {
	for _, l := range n.dropped() {
		if p.HostPort == l.port.HostPort && p.Protocol == l.port.Protocol && !slices.Contains(n.vacated, l) {
			if err := l.vacate(); err != nil {
				return nil, err
			}
			n.vacated = append(n.vacated, l)
		}
	}
	l, err := bind(p, len(n.vacated) > 0)
	if errors.Is(err, unix.EADDRINUSE) {
		return nil, &PortTaken{Port: p, Owner: ownerOf(p)}
	}
	if err != nil {
		// net.OpError repeats the address; its cause is what is new.
		if op := (*net.OpError)(nil); errors.As(err, &op) {
			err = op.Err
		}
		hint := ""
		if errors.Is(err, unix.EACCES) && p.HostPort < 1024 {
			// ip(7): ports below it take CAP_NET_BIND_SERVICE on the host.
			hint = fmt.Sprintf(": low ports are root's: sudo sysctl net.ipv4.ip_unprivileged_port_start=%d lets users have it, or publish a port from 1024 on", p.HostPort)
		}
		return nil, fmt.Errorf("cannot publish port %s for %q: %w%s", hostPort(p), p.Container, err, hint)
	}
	return l, nil
}

// dropped are the old listeners that no wanted port uses.
func (n *publication) dropped() []*listener {
	var ls []*listener
	for _, l := range n.old {
		if !slices.Contains(n.by, l) {
			ls = append(ls, l)
		}
	}
	return ls
}

// undo gives the fresh ports up and takes the vacated ones back.
func (n *publication) undo(s *Sandbox) error {
	var errs []error
	for _, l := range n.fresh {
		errs = append(errs, l.close())
	}
	for i, l := range s.listeners {
		if !slices.Contains(n.vacated, l) {
			continue
		}
		again, err := bind(l.port, true)
		if err != nil {
			errs = append(errs, fmt.Errorf("cannot publish port %s for %q again: %w", hostPort(l.port), l.port.Container, err))
			continue
		}
		again.chosen, again.inner = l.chosen, l.inner
		again.retarget(l.backends)
		serve(s, again)
		s.listeners[i] = again
	}
	return errors.Join(append(errs, lead(s))...)
}

// find is the listener that is already what a port asks for, or nil.
func find(ls []*listener, p pod.Port) *listener {
	if i := slices.IndexFunc(ls, func(l *listener) bool { return l.is(p) }); i >= 0 {
		return ls[i]
	}
	return nil
}

// hostPort is "8080/tcp", or "127.0.0.1:8080/tcp".
func hostPort(p pod.Port) string {
	port := strconv.Itoa(int(p.HostPort))
	if p.HostIP != "" {
		port = net.JoinHostPort(p.HostIP, port)
	}
	return port + "/" + p.Protocol
}
