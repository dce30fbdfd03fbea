package sandbox

import (
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/pcompose/pcompose/pod"
)

// A network that pods share is a bridge in each of them, and in a namespace of its own, the hub, one that has a link to
// each pod's. It has no address and no way out: each pod has the gateway, and what leaves goes by the pod's own link.
//
//	pod "a", router                hub of "shared"              pod "b", router
//	br<hash>  10.210.7.1/32        hub                          br<hash>  10.210.7.1/32
//	          pc<hash> ── veth ── pc<hash of a>, pc<hash of b> ── veth ── pc<hash>

// hubBridge is the name of a hub's bridge.
const hubBridge = "hub"

// trunk is a pair of links between a bridge and its network's hub.
type trunk struct {
	network string
	// name is the network's on the machine.
	name   string
	bridge string
	// port is its end in the router, peer that in the hub.
	port, peer string
	mtu        int
}

func newTrunk(id string, n pod.Network) trunk {
	return trunk{network: n.Key, name: n.Name, bridge: bridgeName(n.Key), port: portName("/hub", n.Name), peer: linkName(id), mtu: n.MTU}
}

// NewHub makes the hub of a shared network. It is there as long as a file of it is open or a process is in it.
func NewHub() (*os.File, error) {
	ns, err := newNamespace(hubBridge)
	if err != nil {
		return nil, err
	}
	err = ns.do(func() error {
		// The hub itself says nothing to anybody.
		if err := writeSysctl("net/ipv6/conf/default/disable_ipv6", "1"); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return err
		}
		defer h.Close()
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.Flags = hubBridge, net.FlagUp
		snoop := false // as in connection.bridge
		return h.LinkAdd(&netlink.Bridge{LinkAttrs: attrs, MulticastSnooping: &snoop})
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot make the hub of a network: %w", err), ns.file.Close())
	}
	return ns.file, nil
}

// trunk makes a trunk, or what of it is missing.
func (c *connection) trunk(t trunk) error {
	file := c.config.Hubs[t.name]
	if file == nil {
		return errors.New("its hub is not there")
	}
	hub, err := (&namespace{name: t.name, file: file}).route()
	if err != nil {
		return fmt.Errorf("cannot open a netlink socket in the hub: %w", err)
	}
	defer hub.Close()
	peer, err := hub.LinkByName(t.peer)
	if gone := (netlink.LinkNotFoundError{}); err != nil && !errors.As(err, &gone) {
		return err
	}
	port := c.links[t.port]
	if port == nil || err != nil || port.Attrs().ParentIndex != peer.Attrs().Index || peer.Attrs().ParentIndex != port.Attrs().Index {
		if port, peer, err = c.newTrunk(hub, t); err != nil {
			return err
		}
	} else if err := setMTU(c.router, port, c.mtuOf(t.mtu)); err != nil {
		return err
	}
	bridge, err := hub.LinkByName(hubBridge)
	if err != nil {
		return err
	}
	// The hub's end first: what is announced when ours comes up reaches the others.
	if err := errors.Join(setMTU(hub, peer, c.mtuOf(t.mtu)), hub.LinkSetMasterByIndex(peer, bridge.Attrs().Index), hub.LinkSetUp(peer)); err != nil {
		return err
	}
	own := c.links[t.bridge]
	if err := errors.Join(c.router.LinkSetMasterByIndex(port, own.Attrs().Index), c.router.LinkSetUp(port)); err != nil {
		return err
	}
	return c.announce(own)
}

// newTrunk makes the pair, in the place of what an earlier one has left: one whose hub or router died is there until the
// kernel has taken that apart.
func (c *connection) newTrunk(hub *netlink.Handle, t trunk) (port, peer netlink.Link, err error) {
	if err := errors.Join(removeLink(c.router, t.port), removeLink(hub, t.peer)); err != nil {
		return nil, nil, err
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU = t.port, c.mtuOf(t.mtu)
	port = &netlink.Veth{LinkAttrs: attrs, PeerName: t.peer, PeerMTU: uint32(attrs.MTU), PeerNamespace: netlink.NsFd(int(c.config.Hubs[t.name].Fd()))}
	if err := c.router.LinkAdd(port); err != nil {
		return nil, nil, err
	}
	c.links[t.port] = port
	peer, err = hub.LinkByName(t.peer)
	return port, peer, err
}

// announce tells the other pods at which hardware address this one's are, which may have been another pod's: setting it
// once more does (arp_notify, kernel, Documentation/networking/ip-sysctl.rst).
func (c *connection) announce(bridge netlink.Link) error {
	name := bridge.Attrs().Name
	err := c.cells[0].do(func() error {
		for _, path := range []string{"net/ipv4/conf/" + name + "/arp_notify", "net/ipv6/conf/" + name + "/ndisc_notify"} {
			if err := writeSysctl(path, "1"); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.router.LinkSetHardwareAddr(bridge, bridge.Attrs().HardwareAddr)
}

// leaveHubs takes the pod off its shared networks: its namespaces may live a while longer.
func (s *inside) leaveHubs() error {
	var errs []error
	for _, t := range s.layout.trunks {
		file := s.config.Hubs[t.name]
		if file == nil {
			continue
		}
		hub, err := (&namespace{name: t.name, file: file}).route()
		if err != nil {
			errs = append(errs, fmt.Errorf("cannot open a netlink socket in the hub of network %q: %w", t.name, err))
			continue
		}
		errs = append(errs, removeLink(hub, t.peer))
		hub.Close()
	}
	return errors.Join(errs...)
}
