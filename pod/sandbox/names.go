package sandbox

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/pcompose/pcompose/pod"
)

// ListenNames takes the sockets on which a resolver answers in a cell: those at address and port of it. They are the
// caller's to close.
func (s *Sandbox) ListenNames(cell string, at netip.AddrPort) (udp *net.UDPConn, tcp *net.TCPListener, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ns := s.cell(cell)
	if s.closed || ns == nil {
		return nil, nil, fmt.Errorf("cannot answer names in cell %q: there is no such cell", cell)
	}
	err = ns.do(func() (err error) {
		if udp, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at)); err != nil {
			return err
		}
		tcp, err = net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(at))
		return err
	})
	if err != nil {
		if udp != nil {
			err = errors.Join(err, udp.Close())
		}
		return nil, nil, fmt.Errorf("cannot answer names in cell %q: %w", cell, err)
	}
	return udp, tcp, nil
}

// HostResolvers are the servers that the host asks, as its resolv.conf under root ("/") has them: those of its loopback
// too, since who asks them is on the host. None where there is no file.
func HostResolvers(root string) []netip.AddrPort {
	content, err := os.ReadFile(root + "/etc/resolv.conf")
	if err != nil {
		return nil
	}
	var servers []netip.AddrPort
	for _, s := range parseResolv(content).servers {
		if ip, err := netip.ParseAddr(s); err == nil {
			servers = append(servers, netip.AddrPortFrom(ip, 53))
		}
	}
	return servers
}

// Seen is a container as those of a cell see it.
type Seen struct {
	Container pod.Container
	// Addrs are its addresses on the first of the networks.
	Addrs []netip.Addr
	// Networks are those that both are on, by key, and On its addresses on each of them.
	Networks []string
	On       [][]netip.Addr
}

// Names are the names that a container is found by, beside its hostname: a service is known by the containers that `up`
// starts, not by those of `run`, and an alias on its network.
func (s Seen) Names() []string {
	c := s.Container
	if c.OneOff {
		return []string{c.Name}
	}
	names := []string{c.Name, c.Service, fmt.Sprintf("%s-%d", c.Service, c.Replica)}
	for _, a := range c.Networks {
		if slices.Contains(s.Networks, a.Network) {
			names = append(names, a.Aliases...)
		}
	}
	return names
}

// At is the container as it is seen on the i-th of the networks alone.
func (s Seen) At(i int) Seen {
	return Seen{Container: s.Container, Addrs: s.On[i], Networks: s.Networks[i : i+1], On: s.On[i : i+1]}
}

// See says at which addresses a container in a cell sees others: at their links to the common networks that tell names, in
// a cell without links at the loopback, and without such a network not at all.
func See(cell string, topology pod.Topology, others []pod.Container) []Seen {
	mine := linksOf(topology, cell)
	var all []Seen
	for _, c := range others {
		if c.Cell == cell && len(mine) == 0 {
			if s := atLoopback(topology, c); len(s.Networks) > 0 || len(c.Networks) == 0 {
				all = append(all, s)
			}
		} else if s := overLinks(topology, c, mine); len(s.Addrs) > 0 {
			all = append(all, s)
		}
	}
	return all
}

// atLoopback is a container of the same cell.
func atLoopback(t pod.Topology, c pod.Container) Seen {
	s := Seen{Container: c, Addrs: []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}}
	for _, a := range c.Networks {
		if !nameless(t, a.Network) {
			s.Networks, s.On = append(s.Networks, a.Network), append(s.On, s.Addrs)
		}
	}
	return s
}

// overLinks is a container as it is seen from a cell with links of its own.
func overLinks(t pod.Topology, c pod.Container, mine []pod.Link) Seen {
	s := Seen{Container: c}
	for _, l := range linksOf(t, c.Cell) {
		if nameless(t, l.Network) || !slices.ContainsFunc(mine, func(m pod.Link) bool { return m.Network == l.Network }) {
			continue
		}
		var addrs []netip.Addr
		for _, text := range []string{l.IPv4, l.IPv6} {
			if p, err := netip.ParsePrefix(text); err == nil {
				addrs = append(addrs, p.Addr())
			}
		}
		s.Networks, s.On = append(s.Networks, l.Network), append(s.On, addrs)
	}
	if len(s.On) > 0 {
		s.Addrs = s.On[0]
	}
	return s
}

func nameless(t pod.Topology, network string) bool {
	return slices.ContainsFunc(t.Networks, func(n pod.Network) bool { return n.Key == network && n.Nameless })
}

func linksOf(t pod.Topology, cell string) []pod.Link {
	for _, c := range t.Cells {
		if c.Name == cell {
			return c.Links
		}
	}
	return nil
}

// DialFrom connects from within a cell, as its containers would.
func DialFrom(s *Sandbox, cell, network string, to netip.AddrPort, timeout time.Duration) (c net.Conn, err error) {
	s.mu.Lock()
	ns := s.cell(cell)
	s.mu.Unlock()
	if ns == nil {
		return nil, fmt.Errorf("cannot dial from cell %q: there is no such cell", cell)
	}
	err = ns.do(func() (err error) {
		c, err = net.DialTimeout(network, to.String(), timeout)
		return err
	})
	return c, err
}
