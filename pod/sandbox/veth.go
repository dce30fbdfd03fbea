package sandbox

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/pcompose/pcompose/pod"
)

// veth is an outlet made of a point-to-point pair of links, host routes and a table of rules.
type veth struct {
	id      string
	v4, v6  netip.Addr
	gateway netip.Addr
	// bytes is the MTU of the pair.
	bytes int
	// udp are the UDP ports in force.
	udp []way
	// lookout sees to the rules in the chains of others.
	lookout *lookout
}

const podLink = "eth0"

// attachVeth makes link, addresses, routes and rules, in place of those an earlier pod of the same id left.
func attachVeth(c Config, cell *namespace) (u *veth, err error) {
	unlock, err := lock(c.LockFile)
	if err != nil {
		return nil, err
	}
	defer unlock()
	host, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("cannot open a netlink socket: %w", err)
	}
	defer host.Close()
	inside, err := cell.route()
	if err != nil {
		return nil, fmt.Errorf("cannot open a netlink socket in the pod: %w", err)
	}
	defer inside.Close()

	if err := removeLink(host, linkName(c.ID)); err != nil {
		return nil, err
	}
	u = &veth{id: c.ID}
	used, err := usedPrefixes(host)
	if err != nil {
		return nil, err
	}
	if u.v4, u.gateway, err = pick(c.Name, c.Pools, used); err != nil {
		return nil, err
	}
	if hasIPv6() {
		u.v6 = address6(u.v4)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, Remove(c.ID))
		}
	}()
	index, err := u.makeLink(host, cell)
	if err != nil {
		return nil, fmt.Errorf("cannot make link %q: %w", linkName(c.ID), err)
	}
	if err := u.configureInside(inside); err != nil {
		return nil, fmt.Errorf("cannot configure %s in the pod: %w", podLink, err)
	}
	if err := u.configureHost(host, index); err != nil {
		return nil, fmt.Errorf("cannot configure link %q: %w", linkName(c.ID), err)
	}
	u.lookout = newLookout(c)
	if err := errors.Join(u.forward(nil), enableForwarding(u.v6.IsValid())); err != nil {
		u.lookout.end()
		return nil, err
	}
	return u, nil
}

// findVeth finds what attachVeth made, by the link's name and what is in the cell.
func findVeth(c Config, cell *namespace) (*veth, error) {
	host, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("cannot open a netlink socket: %w", err)
	}
	defer host.Close()
	if _, err := host.LinkByName(linkName(c.ID)); err != nil {
		return nil, fmt.Errorf("cannot find link %q: %w", linkName(c.ID), err)
	}
	inside, err := cell.route()
	if err != nil {
		return nil, fmt.Errorf("cannot open a netlink socket in the pod: %w", err)
	}
	defer inside.Close()
	link, err := inside.LinkByName(podLink)
	if err != nil {
		return nil, fmt.Errorf("cannot find %s of the pod: %w", podLink, err)
	}
	routes, err := inside.RouteList(link, unix.AF_INET)
	if err != nil {
		return nil, fmt.Errorf("cannot list routes of the pod: %w", err)
	}
	u := &veth{id: c.ID, bytes: link.Attrs().MTU}
	for _, r := range routes {
		if gw, ok := netip.AddrFromSlice(r.Gw); ok && isDefault(r) {
			u.gateway = gw.Unmap()
		}
	}
	addrs, err := inside.AddrList(link, unix.AF_UNSPEC)
	if err != nil {
		return nil, fmt.Errorf("cannot list addresses of the pod: %w", err)
	}
	all := map[netip.Addr]bool{}
	for _, a := range addrs {
		p := fromIPNet(a.IPNet)
		all[p.Addr()] = true
		if p.Addr().Is4() {
			u.v4 = p.Addr()
		}
	}
	if !u.v4.IsValid() || !u.gateway.IsValid() {
		return nil, errors.New("cannot find the pod's address and default route in its namespace")
	}
	if six := address6(u.v4); all[six] {
		u.v6 = six
	}
	u.lookout = newLookout(c)
	return u, nil
}

func (u *veth) address() (v4, v6, gateway netip.Addr) { return u.v4, u.v6, u.gateway }

func (u *veth) mtu() int { return u.bytes }

func (u *veth) routes() bool { return true }

func (u *veth) files() map[string]*os.File { return map[string]*os.File{} }

func (u *veth) release() { u.lookout.end() }

func (u *veth) forward(ways []way) error {
	// Before the table, since the kernel has others wait while it frees what a transaction deleted.
	u.lookout.look()
	if err := applyRules(u, ways); err != nil {
		return err
	}
	var udp []way
	for _, w := range ways {
		if w.from.Protocol == pod.UDP {
			// Who is behind it is nothing that the host's flows know of.
			w.from.Container, w.from.ContainerPort = "", 0
			udp = append(udp, w)
		}
	}
	before := u.udp
	u.udp = udp
	if slices.ContainsFunc(before, func(w way) bool { return !slices.Contains(udp, w) }) {
		return u.forgetUDP()
	}
	return nil
}

func (u *veth) detach() error {
	u.lookout.end()
	err := Remove(u.id)
	if len(u.udp) > 0 {
		err = errors.Join(err, u.forgetUDP())
	}
	return err
}

// forgetUDP makes conntrack forget the datagram flows into the pod: a client that keeps sending would keep its
// translation to the pod for ever, whatever the rules say by then. TCP connections end by themselves.
func (u *veth) forgetUDP() error {
	h, err := netlink.NewHandle(unix.NETLINK_NETFILTER)
	if err != nil {
		return fmt.Errorf("cannot open a netlink socket: %w", err)
	}
	defer h.Close()
	for _, addr := range []netip.Addr{u.v4, u.v6} {
		if addr.IsValid() {
			forgetUDP(h, netlink.ConntrackReplySrcIP, netip.AddrPortFrom(addr, 0))
		}
	}
	return nil
}

// forgetUDP drops the flows that an address answers, or that it began from the port. A kernel without ctnetlink leaves
// it to the timeout.
func forgetUDP(h *netlink.Handle, of netlink.ConntrackFilterType, at netip.AddrPort) {
	family := netlink.InetFamily(unix.AF_INET6)
	if at.Addr().Is4() {
		family = unix.AF_INET
	}
	flows := &netlink.ConntrackFilter{}
	err := errors.Join(flows.AddProtocol(unix.IPPROTO_UDP), flows.AddIP(of, at.Addr().AsSlice()))
	if of == netlink.ConntrackOrigSrcIP {
		err = errors.Join(err, flows.AddPort(netlink.ConntrackOrigSrcPort, at.Port()))
	}
	if err == nil {
		_, _ = h.ConntrackDeleteFilters(netlink.ConntrackTable, family, flows)
	}
}

// makeLink makes the pair in one request, its host end up, and gives the host end's index.
func (u *veth) makeLink(host *netlink.Handle, cell *namespace) (index int, err error) {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = linkName(u.id)
	attrs.HardwareAddr = hardwareAddress(u.id, "host")
	if attrs.MTU, err = uplinkMTU(host); err != nil {
		return 0, err
	}
	u.bytes = attrs.MTU
	link := &netlink.Veth{
		LinkAttrs: attrs, PeerName: podLink,
		PeerNamespace:    netlink.NsFd(cell.fd()),
		PeerHardwareAddr: hardwareAddress(u.id, "pod"),
	}
	if err := host.LinkAdd(link); err != nil {
		return 0, err
	}
	// The name is a hash; the alias says whose link it is. The kernel takes it for a link that exists only.
	if err := host.LinkSetAlias(link, namePrefix+u.id); err != nil {
		return 0, err
	}
	if u.v6.IsValid() {
		// Its address is fe80::1. One by hardware address, which the kernel adds some time after the link is up, would
		// be a second.
		if err := host.LinkSetIP6AddrGenMode(link, nl.IN6_ADDR_GEN_MODE_NONE); err != nil {
			return 0, err
		}
	}
	return link.Index, host.LinkSetUp(link)
}

func (u *veth) configureInside(h *netlink.Handle) error {
	link, err := h.LinkByName(podLink)
	if err != nil {
		return err
	}
	// The host's hardware address is known: no first packet waits for ARP.
	index, mac := link.Attrs().Index, hardwareAddress(u.id, "host")
	steps := []func() error{
		func() error { return addAddress(h, index, single(u.v4), 0) },
		func() error { return h.LinkSetUp(link) },
		func() error { return addNeighbour(h, index, u.gateway, mac) },
		func() error { return addDefault(h, index, u.gateway) },
	}
	if u.v6.IsValid() {
		steps = append(steps,
			func() error { return addAddress(h, index, single(u.v6), 0) },
			func() error { return addNeighbour(h, index, gateway6(), mac) },
			func() error { return addDefault(h, index, gateway6()) })
	}
	return inOrder(steps)
}

func (u *veth) configureHost(h *netlink.Handle, index int) error {
	mac := hardwareAddress(u.id, "pod")
	steps := []func() error{
		func() error { return addAddress(h, index, single(u.gateway), 0) },
		func() error { return addNeighbour(h, index, u.v4, mac) },
		func() error { return addHostRoute(h, index, u.v4) },
	}
	if u.v6.IsValid() {
		steps = append(steps,
			func() error {
				return addAddress(h, index, &net.IPNet{IP: gateway6().AsSlice(), Mask: net.CIDRMask(64, 128)}, 0)
			},
			func() error { return addNeighbour(h, index, u.v6, mac) },
			func() error { return addHostRoute(h, index, u.v6) })
	}
	return inOrder(steps)
}
