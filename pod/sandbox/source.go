package sandbox

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Where the host translates nothing, what arrives at a published port goes on through a held socket, and would have its
// address in the pod. So the socket into the pod takes the client's (IP_TRANSPARENT, ip(7)), and its connection a mark; what
// the container answers gets the mark from conntrack, and a rule routes what is marked to the socket instead of outside.
const (
	// sourceMark is "pcom": few use marks, and those small numbers.
	sourceMark  = 0x70636f6d
	sourceRules = "pcompose-source"
	// sourceTable is a routing table, and the priority of the rule that leads to it.
	sourceTable, sourcePriority = 7073, 70
	loopbackIndex               = 1
)

// keepSources lets the cells behind published ports see who connects.
func keepSources(s *Sandbox) error {
	if s.outlet.routes() {
		return nil
	}
	for _, l := range s.listeners {
		for _, t := range s.targets(l) {
			if err := t.cell.keepSources(); err != nil {
				return err
			}
		}
	}
	return nil
}

// keepSources lets sockets of the namespace take addresses of clients. Idempotent.
func (n *namespace) keepSources() error {
	if n.sources {
		return nil
	}
	err := n.do(func() error {
		h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return err
		}
		defer h.Close()
		if err := routeSources(h, unix.AF_INET, netip.IPv4Unspecified()); err != nil {
			return err
		}
		if hasIPv6() {
			if err := routeSources(h, unix.AF_INET6, netip.IPv6Unspecified()); err != nil {
				return err
			}
		}
		return markSources()
	})
	if err != nil {
		return fmt.Errorf("cannot keep the addresses of clients in cell %q: %w", n.name, err)
	}
	n.sources = true
	return nil
}

// routeSources routes what is marked to the namespace itself.
func routeSources(h *netlink.Handle, family int, all netip.Addr) error {
	rule := netlink.NewRule()
	rule.Family, rule.Mark, rule.Table, rule.Priority = family, sourceMark, sourceTable, sourcePriority
	if err := h.RuleAdd(rule); err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	return h.RouteReplace(&netlink.Route{
		LinkIndex: loopbackIndex, Table: sourceTable, Type: unix.RTN_LOCAL, Scope: netlink.SCOPE_HOST,
		Dst: &net.IPNet{IP: all.AsSlice(), Mask: net.CIDRMask(0, all.BitLen())},
	})
}

// markSources has a connection that begins with the mark keep it.
func markSources() error {
	conn, err := openRules()
	if err != nil {
		return err
	}
	r := newRuleset(conn, sourceRules, true)
	// A chain of this type has what it marks routed anew.
	r.base("output", nftables.ChainTypeRoute, nftables.ChainHookOutput, nftables.ChainPriorityMangle)
	mark := binary.NativeEndian.AppendUint32(nil, sourceMark)
	is := &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: mark}
	r.add("output", []expr.Any{&expr.Meta{Key: expr.MetaKeyMARK, Register: 1}, is, &expr.Ct{Key: expr.CtKeyMARK, Register: 1, SourceRegister: true}},
		verdict(expr.VerdictReturn, ""))
	r.add("output", []expr.Any{&expr.Ct{Key: expr.CtKeyMARK, Register: 1}, is, &expr.Meta{Key: expr.MetaKeyMARK, Register: 1, SourceRegister: true}})
	return r.commit()
}

// takeSource gives a socket that is to be connected the address of a client: its port too, as long as no other connection of
// the client to the same container has that.
func takeSource(fd, family int, client netip.AddrPort) error {
	level, option := unix.SOL_IPV6, unix.IPV6_TRANSPARENT
	if family == unix.AF_INET {
		level, option = unix.SOL_IP, unix.IP_TRANSPARENT
	}
	err := errors.Join(unix.SetsockoptInt(fd, level, option, 1), unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, sourceMark))
	if err != nil {
		return err
	}
	if err = unix.Bind(fd, sockaddr(client)); errors.Is(err, unix.EADDRINUSE) {
		err = unix.Bind(fd, sockaddr(netip.AddrPortFrom(client.Addr(), 0)))
	}
	return err
}

// sourceFor is the address that a connection to a container is to come from: the client's, where the namespace can have it and
// the family is the container's; invalid for the namespace's own. Who is on this machine's loopback has no address elsewhere.
func (t target) sourceFor(client netip.AddrPort, to netip.Addr) netip.AddrPort {
	addr := client.Addr().Unmap()
	if !t.sources || !addr.IsValid() || addr.Is4() != to.Is4() || addr.IsLoopback() || addr.IsLinkLocalUnicast() || addr.Zone() != "" {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(addr, client.Port())
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
	}
	return &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port())}
}
