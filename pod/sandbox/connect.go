package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// connection is the links of a pod on their way to what a layout wants. What it goes by is what the kernel has, so
// that it goes on where an earlier one was cut off.
type connection struct {
	*inside
	router *netlink.Handle
	want   layout
	// links are those of the router by name.
	links map[string]netlink.Link
}

// connectCells makes bridges and wires as wanted, and takes away all others. Wires that are as wanted already are
// not touched.
func (s *inside) connectCells(want layout) error {
	h, err := s.cells[0].route()
	if err != nil {
		return fmt.Errorf("cannot open a netlink socket in the pod: %w", err)
	}
	defer h.Close()
	c := &connection{inside: s, router: h, want: want, links: map[string]netlink.Link{}}
	all, err := h.LinkList()
	if err != nil {
		return fmt.Errorf("cannot list links of the pod: %w", err)
	}
	for _, l := range all {
		c.links[l.Attrs().Name] = l
	}
	// What goes makes room for names and addresses of what comes.
	if err := c.removeStale(); err != nil {
		return err
	}
	for _, b := range want.bridges {
		if err := c.bridge(b); err != nil {
			return fmt.Errorf("cannot make network %q: %w", b.network, err)
		}
	}
	for _, t := range want.trunks {
		if err := c.trunk(t); err != nil {
			return fmt.Errorf("cannot join network %q with that of other pods: %w", t.network, err)
		}
	}
	for _, w := range want.wires {
		if err := c.wire(w); err != nil {
			return fmt.Errorf("cannot make %s of cell %q: %w", w.name, w.cell, err)
		}
	}
	return nil
}

// removeStale removes the links of the router that are not wanted, or not of those who should have them: a veth
// whose cell died in a crash may be there a moment longer than the cell.
func (c *connection) removeStale() error {
	wanted := map[string]bool{}
	for _, b := range c.want.bridges {
		wanted[b.name] = true
	}
	for _, w := range c.want.wires {
		port := c.links[w.port]
		if port == nil {
			delete(c.wired, w.port)
			continue
		}
		if made, ok := c.wired[w.port]; ok && made.port == w.port && made.name == w.name && bytes.Equal(made.mac, w.mac) && made.cell == w.cell {
			wanted[w.port] = true
			continue
		}
		delete(c.wired, w.port)
		same, err := c.leadsTo(port, w)
		if err != nil {
			return err
		}
		wanted[w.port] = same
	}
	for _, t := range c.want.trunks {
		wanted[t.port] = true // trunk looks itself
	}
	for _, name := range slices.Sorted(maps.Keys(c.links)) {
		if wanted[name] || !strings.HasPrefix(name, bridgePrefix) && !strings.HasPrefix(name, portPrefix) {
			continue
		}
		if err := removeLink(c.router, name); err != nil {
			return err
		}
		delete(c.links, name)
		delete(c.wired, name)
	}
	return nil
}

// leadsTo says whether the other end of a router's link is what a wire has in its cell.
func (c *connection) leadsTo(port netlink.Link, w wire) (bool, error) {
	h, err := c.cell(w.cell).route()
	if err != nil {
		return false, fmt.Errorf("cannot open a netlink socket in cell %q: %w", w.cell, err)
	}
	defer h.Close()
	inside, err := h.LinkByName(w.name)
	if err != nil {
		return false, nil // there is none
	}
	a, b := port.Attrs(), inside.Attrs()
	return a.ParentIndex == b.Index && b.ParentIndex == a.Index && bytes.Equal(b.HardwareAddr, w.mac), nil
}

// bridge makes a bridge, or what of it is missing, and takes away what it should not have.
func (c *connection) bridge(b bridge) error {
	link := c.links[b.name]
	if link == nil {
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.Alias, attrs.HardwareAddr = b.name, b.network, b.mac
		attrs.Flags, attrs.MTU = net.FlagUp, c.mtuOf(b.mtu)
		// Snooping would hold back multicast, IPv6's neighbour discovery with it, until it has learnt who listens.
		snoop := false
		link = &netlink.Bridge{LinkAttrs: attrs, MulticastSnooping: &snoop}
		if err := c.router.LinkAdd(link); err != nil {
			return err
		}
		c.links[b.name] = link
	} else if err := setMTU(c.router, link, c.mtuOf(b.mtu)); err != nil {
		return err
	} else if !bytes.Equal(link.Attrs().HardwareAddr, b.mac) {
		if err := c.router.LinkSetHardwareAddr(link, b.mac); err != nil {
			return fmt.Errorf("cannot set hardware address %s: %w", b.mac, err)
		}
		link.Attrs().HardwareAddr = b.mac
	}
	// The gateway has no prefix and the other addresses no routes: no address is secondary to another, and each route
	// says which one a packet of ours comes from.
	var addrs []netip.Prefix
	for _, a := range b.gateways {
		addrs = append(addrs, netip.PrefixFrom(a, a.BitLen()))
	}
	addrs = append(addrs, b.own...)
	if err := settleAddresses(c.router, link, addrs, unix.IFA_F_NOPREFIXROUTE); err != nil {
		return err
	}
	// A link that was set up by a call that was cut off may not be up.
	if err := c.router.LinkSetUp(link); err != nil {
		return err
	}
	return settleRoutes(c.router, link, b)
}

func (c *connection) mtuOf(mtu int) int {
	if mtu == 0 {
		return c.outlet.mtu()
	}
	return mtu
}

// wire makes a wire, or what of it is missing. The router knows the cell's hardware address and the cell the
// gateway's, so that no first packet waits for them.
func (c *connection) wire(w wire) error {
	if made, ok := c.wired[w.port]; ok && reflect.DeepEqual(made, w) {
		return nil
	}
	delete(c.wired, w.port)
	bridge := c.links[w.bridge].Attrs()
	port := c.links[w.port]
	if port == nil {
		if err := c.clear(w); err != nil {
			return err
		}
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.MasterIndex, attrs.Flags, attrs.MTU = w.port, bridge.Index, net.FlagUp, c.mtuOf(w.mtu)
		port = &netlink.Veth{LinkAttrs: attrs, PeerName: w.name, PeerHardwareAddr: w.mac, PeerMTU: uint32(attrs.MTU),
			PeerNamespace: netlink.NsFd(c.cell(w.cell).fd())}
		if err := c.router.LinkAdd(port); err != nil {
			return err
		}
		c.links[w.port] = port
	} else {
		if err := setMTU(c.router, port, c.mtuOf(w.mtu)); err != nil {
			return err
		}
		if err := c.router.LinkSetMasterByIndex(port, bridge.Index); err != nil {
			return err
		}
		if err := c.router.LinkSetUp(port); err != nil {
			return err
		}
	}
	if err := c.configure(w); err != nil {
		return err
	}
	for _, a := range w.addrs {
		if err := addNeighbour(c.router, bridge.Index, a.Addr(), w.mac); err != nil {
			return err
		}
	}
	c.wired[w.port] = w
	return nil
}

// clear makes room for the cell's end of a new wire: one to a router that has died is there until the kernel has taken that
// apart, which it does some time later (network_namespaces(7)).
func (c *connection) clear(w wire) error {
	h, err := c.cell(w.cell).route()
	if err != nil {
		return fmt.Errorf("cannot open a netlink socket: %w", err)
	}
	defer h.Close()
	return removeLink(h, w.name)
}

// configure sets up the cell's end of a wire.
func (c *connection) configure(w wire) error {
	h, err := c.cell(w.cell).route()
	if err != nil {
		return fmt.Errorf("cannot open a netlink socket: %w", err)
	}
	defer h.Close()
	link, err := h.LinkByName(w.name)
	if err != nil {
		return err
	}
	if err := setMTU(h, link, c.mtuOf(w.mtu)); err != nil {
		return err
	}
	if err := settleAddresses(h, link, w.addrs, 0); err != nil {
		return err
	}
	if err := h.LinkSetUp(link); err != nil {
		return err
	}
	for _, g := range w.gateways {
		if err := addNeighbour(h, link.Attrs().Index, g, w.gateway); err != nil {
			return err
		}
	}
	return errors.Join(settleDefault(h, link, w), settleStatics(h, link, w))
}
