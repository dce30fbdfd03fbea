package sandbox

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/pcompose/pcompose/pod"
)

// backend is a container's port behind a published port.
type backend struct {
	container string
	port      uint16
}

// target is where a backend is.
type target struct {
	backend
	cell   *namespace
	first  bool
	v4, v6 netip.Addr
	// internal targets are reached by nobody outside of the pod.
	internal bool
	// sources says that connections to it may come from the address of their client.
	sources bool
}

// at is the address of one family, invalid for one that the target has not got.
func (t target) at(four bool) netip.AddrPort {
	if four {
		return netip.AddrPortFrom(t.v4, t.port)
	}
	return netip.AddrPortFrom(t.v6, t.port)
}

// way is how the host sends a published port on: to a port of the pod's own addresses, of the families that lead on.
type way struct {
	from   pod.Port
	to     uint16
	v4, v6 bool
}

// spread is how the router sends a pod-side port on.
type spread struct {
	protocol string
	inner    uint16
	targets  []target
	// leaving are those that get nothing new.
	leaving []target
}

// routes are the ways of all published ports.
type routes struct {
	ways    []way
	spreads []spread
}

// target finds a backend. An unknown container is in the first cell.
func (s *inside) target(b backend) (target, error) {
	t := target{backend: b}
	cell := s.member(b.container).Cell
	t.cell = s.cell(cell)
	if t.cell == nil {
		return t, fmt.Errorf("its cell %q is not there", cell)
	}
	if t.cell.mode != "" {
		return t, fmt.Errorf("its network mode is %s", t.cell.mode)
	}
	t.sources = t.cell.sources
	if t.first = t.cell == s.cells[0]; t.first {
		t.v4, t.v6, _ = s.outlet.address()
		t.internal = s.layout.shut
		return t, nil
	}
	wires := slices.DeleteFunc(slices.Clone(s.layout.wires), func(w wire) bool { return w.cell != t.cell.name })
	t.internal = !slices.ContainsFunc(wires, func(w wire) bool { return len(w.routes) > 0 })
	for _, w := range wires {
		for _, a := range w.addrs {
			a := a.Addr()
			switch {
			case a.IsLinkLocalUnicast() || !t.internal && !w.leads(a): // answers go by the default route: so must what they answer to
			case a.Is4() && !t.v4.IsValid():
				t.v4 = a
			case a.Is6() && !t.v6.IsValid():
				t.v6 = a
			}
		}
	}
	return t, nil
}

func (s *inside) member(container string) pod.Member {
	if i := slices.IndexFunc(s.config.Members, func(m pod.Member) bool { return m.Container == container }); i >= 0 {
		return s.config.Members[i]
	}
	return pod.Member{Container: container}
}

// targets are those of a listener's backends that can be found.
func (s *Sandbox) targets(l *listener) []target {
	var ts []target
	for _, b := range l.backends {
		if t, err := s.target(b); err == nil {
			ts = append(ts, t)
		}
	}
	return ts
}

// inService leaves out the targets that are not ready, unless none is.
func (s *inside) inService(all []target) []target {
	ready := slices.DeleteFunc(slices.Clone(all), func(t target) bool { return s.out[t.container] })
	if len(ready) == 0 {
		return all
	}
	return ready
}

// direct says whether the host can send a port straight to its container: in the first cell, and alone.
func direct(ts []target) bool {
	return !slices.ContainsFunc(ts, func(t target) bool { return !t.first || t.port != ts[0].port })
}

// assignInner gives each published port that needs one a pod-side port: unlike all others, and unlike the ports that
// containers of the first cell have published. It keeps the one it has. They come from above those the kernel
// chooses itself (ip_local_port_range), as long as there are any.
func (s *Sandbox) assignInner() error {
	if !s.outlet.routes() {
		return nil
	}
	type key struct {
		protocol string
		port     uint16
	}
	taken := map[key]bool{}
	var need []*listener
	for _, l := range s.listeners {
		for _, b := range l.backends {
			taken[key{l.port.Protocol, b.port}] = true
		}
		if direct(s.targets(l)) {
			l.inner = 0
		} else if l.inner == 0 {
			need = append(need, l)
		}
		taken[key{l.port.Protocol, l.inner}] = true
	}
	for _, l := range need {
		for k := (key{l.port.Protocol, 65535}); l.inner == 0; k.port-- {
			if k.port < 1024 {
				return fmt.Errorf("cannot publish port %s: no port of the pod is left", hostPort(l.port))
			}
			if !taken[k] {
				l.inner, taken[k] = k.port, true
			}
		}
	}
	return nil
}

// routes are what the rules should be, by what is published, arranged and ready now.
func (s *Sandbox) routes() routes {
	var r routes
	if !s.outlet.routes() {
		return r
	}
	for _, l := range s.listeners {
		ts := s.targets(l)
		if len(ts) == 0 || !slices.ContainsFunc(ts, func(t target) bool { return !t.internal }) {
			continue // the held socket refuses
		}
		if l.inner == 0 {
			r.ways = append(r.ways, way{from: l.port, to: ts[0].port, v4: true, v6: true})
			continue
		}
		w := way{from: l.port, to: l.inner}
		for _, t := range ts {
			w.v4, w.v6 = w.v4 || t.v4.IsValid(), w.v6 || t.v6.IsValid()
		}
		r.ways = append(r.ways, w)
		r.spreads = append(r.spreads, s.spread(l, ts))
	}
	return r
}

func (s *inside) spread(l *listener, all []target) spread {
	p := spread{protocol: l.port.Protocol, inner: l.inner, targets: s.inService(all)}
	for _, t := range all {
		if !slices.Contains(p.targets, t) {
			p.leaving = append(p.leaving, t)
		}
	}
	return p
}

// steer brings the rules to what routes gives now, where before was in force. The router knows the new pod-side ports
// before the host uses them, and the old ones until it does no more: no connection falls between the two.
func (s *Sandbox) steer(before routes) error {
	now := s.routes()
	if err := s.forgetFlows(now, before, netlink.ConntrackOrigSrcIP); err != nil {
		return err
	}
	both := slices.Clone(now.spreads)
	for _, p := range before.spreads {
		if !slices.ContainsFunc(both, func(o spread) bool { return o.protocol == p.protocol && o.inner == p.inner }) {
			both = append(both, p)
		}
	}
	if s.layout.filtered() {
		if err := s.filter(both); err != nil {
			return err
		}
	}
	if err := s.outlet.forward(now.ways); err != nil {
		return err
	}
	if s.layout.filtered() && len(both) > len(now.spreads) {
		if err := s.filter(now.spreads); err != nil {
			return err
		}
	}
	return s.forgetFlows(before, now, netlink.ConntrackReplySrcIP)
}

// Ready says whether a container takes new connections: one that is ready does, with the other replicas behind the
// same port in turn; one that is not gets none, unless none of them is ready. Connections stay where they are;
// datagrams go to the others at once. A container is ready until the contrary is said. Idempotent.
func (s *Sandbox) Ready(container string, ready bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.out[container] == !ready {
		return nil
	}
	before := s.routes()
	s.setReady(container, ready)
	if err := lead(s); err != nil {
		return fmt.Errorf("cannot change the readiness of %q in pod %q: %w", container, s.config.Name, err)
	}
	now := s.routes()
	if !slices.ContainsFunc(now.spreads, func(p spread) bool {
		return slices.ContainsFunc(before.spreads, func(o spread) bool {
			return o.inner == p.inner && o.protocol == p.protocol && !slices.Equal(o.targets, p.targets)
		})
	}) {
		return nil
	}
	err := s.forgetFlows(now, before, netlink.ConntrackOrigSrcIP)
	if err == nil {
		err = s.filter(now.spreads)
	}
	if err == nil {
		err = s.forgetFlows(before, now, netlink.ConntrackReplySrcIP)
	}
	if err != nil {
		s.setReady(container, !ready)
		return fmt.Errorf("cannot change the readiness of %q in pod %q: %w", container, s.config.Name, err)
	}
	return nil
}

func (s *inside) setReady(container string, ready bool) {
	delete(s.out, container)
	if !ready {
		s.out[container] = true
	}
}

// forgetFlows makes the router's conntrack forget the datagram flows of targets that get some by one set of routes and
// none by another. Those that a target answers would never leave it, as long as the client keeps sending; those that
// it began itself, with a late answer, would be in the way when it gets some again. Connections end by themselves.
func (s *inside) forgetFlows(some, none routes, of netlink.ConntrackFilterType) error {
	at := map[netip.AddrPort]bool{}
	for _, p := range some.spreads {
		for _, t := range p.targets {
			if p.protocol == pod.UDP && !none.leadsTo(p.inner, t) {
				at[t.at(true)], at[t.at(false)] = true, true
			}
		}
	}
	maps.DeleteFunc(at, func(a netip.AddrPort, _ bool) bool { return !a.IsValid() })
	if len(at) == 0 {
		return nil
	}
	var h *netlink.Handle
	if err := s.cells[0].do(func() (err error) {
		h, err = netlink.NewHandle(unix.NETLINK_NETFILTER)
		return err
	}); err != nil {
		return fmt.Errorf("cannot open a netlink socket in the pod: %w", err)
	}
	defer h.Close()
	for a := range at {
		forgetUDP(h, of, a)
	}
	return nil
}

// leadsTo says whether a pod-side UDP port leads to a target.
func (r routes) leadsTo(inner uint16, t target) bool {
	return slices.ContainsFunc(r.spreads, func(p spread) bool {
		return p.protocol == pod.UDP && p.inner == inner && slices.Contains(p.targets, t)
	})
}
