package sandbox

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func setMTU(h *netlink.Handle, link netlink.Link, mtu int) error {
	if link.Attrs().MTU == mtu {
		return nil
	}
	if err := h.LinkSetMTU(link, mtu); err != nil {
		return fmt.Errorf("cannot set mtu %d: %w", mtu, err)
	}
	return nil
}

// settleAddresses makes a link's addresses these. What goes goes first: to remove an address takes those along that
// were added to its subnet later. IPv6's own link-local addresses stay.
func settleAddresses(h *netlink.Handle, link netlink.Link, want []netip.Prefix, flags int) error {
	have, err := h.AddrList(link, unix.AF_UNSPEC)
	if err != nil {
		return fmt.Errorf("cannot list addresses: %w", err)
	}
	var kept []netip.Prefix
	for _, a := range have {
		p := fromIPNet(a.IPNet)
		switch {
		case slices.Contains(want, p):
			kept = append(kept, p)
		case p.Addr().Is6() && p.Addr().IsLinkLocalUnicast():
		default:
			if err := h.AddrDel(link, &a); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
				return fmt.Errorf("cannot remove address %s: %w", p, err)
			}
		}
	}
	for _, p := range want {
		if slices.Contains(kept, p) {
			continue
		}
		if err := addAddress(h, link.Attrs().Index, toIPNet(p), flags); err != nil {
			return err
		}
	}
	return nil
}

// settleRoutes makes the routes of a bridge those to its subnets, from the router's own address where it has one.
func settleRoutes(h *netlink.Handle, link netlink.Link, b bridge) error {
	index := link.Attrs().Index
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		have, err := h.RouteList(link, family)
		if err != nil {
			return fmt.Errorf("cannot list routes: %w", err)
		}
		for _, r := range have {
			// The kernel's own come and go with the addresses.
			if r.Protocol == unix.RTPROT_KERNEL || r.Dst != nil && slices.Contains(b.subnets, fromIPNet(r.Dst)) {
				continue
			}
			if err := h.RouteDel(&r); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("cannot remove route %s: %w", r, err)
			}
		}
	}
	for _, n := range b.subnets {
		r := &netlink.Route{LinkIndex: index, Dst: toIPNet(n), Scope: netlink.SCOPE_LINK}
		if n.Addr().Is6() {
			r.Scope = netlink.SCOPE_UNIVERSE
		}
		if i := slices.IndexFunc(b.own, func(p netip.Prefix) bool { return n.Contains(p.Addr()) }); i >= 0 {
			r.Src = b.own[i].Addr().AsSlice()
		}
		if err := h.RouteReplace(r); err != nil {
			return fmt.Errorf("cannot add route to %s: %w", n, err)
		}
	}
	return nil
}

// settleDefault gives the cell its default routes by a wire, and takes others by this wire away.
func settleDefault(h *netlink.Handle, link netlink.Link, w wire) error {
	for _, g := range w.routes {
		r := &netlink.Route{LinkIndex: link.Attrs().Index, Gw: g.AsSlice(), Flags: int(netlink.FLAG_ONLINK)}
		if err := h.RouteReplace(r); err != nil {
			return fmt.Errorf("cannot add default route by %s: %w", g, err)
		}
	}
	for family, any := range map[int]netip.Addr{unix.AF_INET: netip.IPv4Unspecified(), unix.AF_INET6: netip.IPv6Unspecified()} {
		if w.leads(any) {
			continue
		}
		have, err := h.RouteList(link, family)
		if err != nil {
			return fmt.Errorf("cannot list routes: %w", err)
		}
		for _, r := range have {
			if !isDefault(r) {
				continue
			}
			if err := h.RouteDel(&r); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("cannot remove default route by %s: %w", r.Gw, err)
			}
		}
	}
	return nil
}

// staticRoute marks the routes of settleStatics: RTPROT_STATIC of rtnetlink(7) means an administrator's, and a container with
// NET_ADMIN may add such.
const staticRoute = 112

// ip6RoutePriority is what the kernel takes for a metric of 0 where a route is IPv6's (IP6_RT_PRIO_USER).
const ip6RoutePriority = 1024

// settleStatics makes the static routes by a wire these, and those of its cell by which nothing is sent.
func settleStatics(h *netlink.Handle, link netlink.Link, w wire) error {
	var want []netlink.Route
	for _, s := range w.statics {
		want = append(want, netlink.Route{LinkIndex: link.Attrs().Index, Dst: toIPNet(s.to), Gw: s.by.AsSlice(), Priority: s.metric, Protocol: staticRoute})
	}
	for _, s := range w.refused {
		want = append(want, netlink.Route{Type: unix.RTN_UNREACHABLE, Dst: toIPNet(s.to), Priority: s.metric, Protocol: staticRoute})
	}
	for i := range want {
		if want[i].Priority == 0 && want[i].Dst.IP.To4() == nil {
			want[i].Priority = ip6RoutePriority
		}
	}
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		have, err := h.RouteListFiltered(family, &netlink.Route{Protocol: staticRoute}, netlink.RT_FILTER_PROTOCOL)
		if err != nil {
			return fmt.Errorf("cannot list routes: %w", err)
		}
		for _, r := range have {
			is := func(o netlink.Route) bool { return sameStatic(o, r) }
			if refused := r.Type == unix.RTN_UNREACHABLE; !refused && r.LinkIndex != link.Attrs().Index || slices.ContainsFunc(want, is) {
				continue
			}
			if err := h.RouteDel(&r); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("cannot remove route %s: %w", r, err)
			}
		}
	}
	for _, r := range want {
		if err := h.RouteReplace(&r); err != nil {
			return fmt.Errorf("cannot add route to %s by %s: %w", r.Dst, r.Gw, err)
		}
	}
	return nil
}

// sameStatic compares a route that is wanted with one of the kernel, which has IPv6's unreachable ones on the loopback.
func sameStatic(want, have netlink.Route) bool {
	if want.Type == unix.RTN_UNREACHABLE || have.Type == unix.RTN_UNREACHABLE {
		want.LinkIndex, have.LinkIndex = 0, 0
		if want.Type != have.Type {
			return false
		}
	}
	return want.LinkIndex == have.LinkIndex && fromIPNet(want.Dst) == fromIPNet(have.Dst) && want.Gw.Equal(have.Gw) && want.Priority == have.Priority
}

func toIPNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
