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

// settleDefault gives the cell its default routes by a wire, or takes those by this wire away.
func settleDefault(h *netlink.Handle, link netlink.Link, w wire) error {
	if w.routed {
		for _, g := range w.gateways {
			r := &netlink.Route{LinkIndex: link.Attrs().Index, Gw: g.AsSlice(), Flags: int(netlink.FLAG_ONLINK)}
			if err := h.RouteReplace(r); err != nil {
				return fmt.Errorf("cannot add default route by %s: %w", g, err)
			}
		}
		return nil
	}
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
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

func toIPNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
