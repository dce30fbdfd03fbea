package sandbox

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func inOrder(steps []func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func addAddress(h *netlink.Handle, index int, n *net.IPNet, flags int) error {
	a := &netlink.Addr{IPNet: n, LinkIndex: index, Flags: flags}
	if n.IP.To4() == nil {
		// All addresses on the link are ours: duplicate address detection would only hold the address back for a second.
		a.Flags |= unix.IFA_F_NODAD
	}
	if err := h.AddrAdd(&netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Index: index}}, a); err != nil {
		return fmt.Errorf("cannot add address %s: %w", n, err)
	}
	return nil
}

func addNeighbour(h *netlink.Handle, index int, ip netip.Addr, mac net.HardwareAddr) error {
	err := h.NeighSet(&netlink.Neigh{LinkIndex: index, IP: ip.AsSlice(), HardwareAddr: mac, State: netlink.NUD_PERMANENT})
	if err != nil {
		return fmt.Errorf("cannot add neighbour %s: %w", ip, err)
	}
	return nil
}

func addDefault(h *netlink.Handle, index int, gateway netip.Addr) error {
	// onlink: the gateway lies in no prefix of the pod.
	r := &netlink.Route{LinkIndex: index, Gw: gateway.AsSlice(), Flags: int(netlink.FLAG_ONLINK)}
	if err := h.RouteAdd(r); err != nil {
		return fmt.Errorf("cannot add default route by %s: %w", gateway, err)
	}
	return nil
}

func addHostRoute(h *netlink.Handle, index int, ip netip.Addr) error {
	r := &netlink.Route{LinkIndex: index, Dst: single(ip), Scope: netlink.SCOPE_LINK}
	if err := h.RouteAdd(r); err != nil {
		return fmt.Errorf("cannot add route to %s: %w", ip, err)
	}
	return nil
}

func isDefault(r netlink.Route) bool {
	return r.Dst == nil || r.Dst.IP.IsUnspecified()
}

// uplinkMTU is that of the host's default route: packets larger than the way out takes would only be refused later.
func uplinkMTU(h *netlink.Handle) (int, error) {
	routes, err := h.RouteList(nil, unix.AF_INET)
	if err != nil {
		return 0, fmt.Errorf("cannot list routes: %w", err)
	}
	i := slices.IndexFunc(routes, func(r netlink.Route) bool { return isDefault(r) && r.LinkIndex > 0 })
	if i < 0 {
		return 1500, nil
	}
	link, err := h.LinkByIndex(routes[i].LinkIndex)
	if err != nil {
		return 0, fmt.Errorf("cannot read the link of the default route: %w", err)
	}
	return min(link.Attrs().MTU, 65535), nil
}
