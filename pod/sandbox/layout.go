package sandbox

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/pcompose/pcompose/pod"
)

// layout is the links of a pod as they are to be, a function of its cells and networks alone.
type layout struct {
	// bridges are sorted by network; wires by cell and network.
	bridges []bridge
	wires   []wire
	// trunks lead to the hubs of shared networks, sorted by network.
	trunks []trunk
	// shut says that the first cell's own containers have no way out, and nothing comes in to them: all their
	// networks are internal.
	shut bool
}

// bridge is a Compose network in the first cell, which is the router.
type bridge struct {
	network string
	name    string
	// known is what addresses are hashed with: the same in all pods on the network.
	known    string
	shared   bool
	mac      net.HardwareAddr
	mtu      int // 0 is that of the way out
	internal bool
	// member says that the first cell is on the network, with the addresses own.
	member   bool
	own      []netip.Prefix
	gateways []netip.Addr
	subnets  []netip.Prefix
	routes   []static
}

// wire is a pair of links between a cell and a bridge.
type wire struct {
	cell   string
	bridge string
	// port is its end in the router, name that in the cell.
	port, name string
	mac        net.HardwareAddr
	// gateway is the hardware address of gateways.
	gateway  net.HardwareAddr
	mtu      int
	addrs    []netip.Prefix
	gateways []netip.Addr
	// routes are those of the gateways by which the cell's default routes go, one a family.
	routes []netip.Addr
	// statics are the routes by this wire, refused those of the cell's networks by which nothing is sent.
	statics, refused []static
}

// static is a route of a network beside its own.
type static struct {
	to     netip.Prefix
	by     netip.Addr // the zero address for nobody
	metric int
}

// filtered says whether the router needs rules.
func (l layout) filtered() bool { return len(l.bridges) > 0 || l.shut }

// newLayout reads a plan. The first of the cells is the router.
func newLayout(config Config) (layout, error) {
	var l layout
	cells, networks := config.Cells, config.Networks
	linked := map[string]bool{}
	for _, c := range cells {
		for _, link := range c.Links {
			linked[link.Network] = true
		}
	}
	for _, n := range networks {
		if linked[n.Key] {
			b, err := newBridge(n)
			if err != nil {
				return l, fmt.Errorf("cannot read network %q: %w", n.Key, err)
			}
			if n.Shared {
				// Every pod on the network has the gateway, at a hardware address of its own.
				b.mac = hardwareAddress(n.Name, config.ID)
				l.trunks = append(l.trunks, newTrunk(config.ID, n))
			}
			l.bridges = append(l.bridges, b)
		}
	}
	slices.SortFunc(l.bridges, func(a, b bridge) int { return strings.Compare(a.network, b.network) })
	for i, c := range cells {
		for _, link := range c.Links {
			at := slices.IndexFunc(l.bridges, func(b bridge) bool { return b.network == link.Network })
			if at < 0 {
				return l, fmt.Errorf("cannot link cell %q: there is no network %q", c.Name, link.Network)
			}
			err := l.link(i == 0, c.Name, link, &l.bridges[at])
			if err != nil {
				return l, fmt.Errorf("cannot link cell %q to network %q: %w", c.Name, link.Network, err)
			}
		}
	}
	for i := range l.wires {
		w := &l.wires[i]
		w.gateway = l.bridges[slices.IndexFunc(l.bridges, func(b bridge) bool { return b.name == w.bridge })].mac
	}
	l.addStatics()
	slices.SortFunc(l.trunks, func(a, b trunk) int { return strings.Compare(a.network, b.network) })
	slices.SortFunc(l.wires, func(a, b wire) int { return strings.Compare(a.cell+"/"+a.bridge, b.cell+"/"+b.bridge) })
	l.shut = shut(l.bridges, networks)
	return l, nil
}

// shut is about the first cell: where nothing is linked, it is on all networks.
func shut(bridges []bridge, networks []pod.Network) bool {
	if len(bridges) == 0 {
		return len(networks) > 0 && !slices.ContainsFunc(networks, func(n pod.Network) bool { return !n.Internal })
	}
	members := 0
	for _, b := range bridges {
		if b.member && !b.internal {
			return false
		}
		if b.member {
			members++
		}
	}
	return members > 0
}

func newBridge(n pod.Network) (bridge, error) {
	b := bridge{network: n.Key, name: bridgeName(n.Key), known: n.Key, internal: n.Internal, mtu: n.MTU, mac: hardwareAddress(n.Key, "bridge")}
	if n.Shared {
		b.known, b.shared = n.Name, true
	}
	for _, p := range n.Pools {
		subnet, err := netip.ParsePrefix(p.Subnet)
		if err != nil {
			return b, err
		}
		gateway, err := netip.ParseAddr(p.Gateway)
		if err != nil {
			return b, err
		}
		b.subnets = append(b.subnets, subnet.Masked())
		b.gateways = append(b.gateways, gateway)
	}
	for _, r := range n.Routes {
		to, err := netip.ParsePrefix(r.Destination)
		if err != nil {
			return b, err
		}
		s := static{to: to, metric: r.Metric}
		if r.Gateway != "" {
			if s.by, err = netip.ParseAddr(r.Gateway); err != nil {
				return b, err
			}
		}
		b.routes = append(b.routes, s)
	}
	return b, nil
}

// addStatics gives each wire the routes of its network. Who is the gateway itself has none by it.
func (l *layout) addStatics() {
	refused := map[string][]static{}
	for i := range l.wires {
		w := &l.wires[i]
		b := l.bridges[slices.IndexFunc(l.bridges, func(b bridge) bool { return b.name == w.bridge })]
		for _, r := range b.routes {
			switch {
			case !r.by.IsValid():
				refused[w.cell] = append(refused[w.cell], r)
			case !slices.ContainsFunc(w.addrs, func(p netip.Prefix) bool { return p.Addr() == r.by }):
				w.statics = append(w.statics, r)
			}
		}
	}
	for i := range l.wires {
		l.wires[i].refused = refused[l.wires[i].cell]
	}
}

// link adds a cell's link to a bridge. That of the first cell is the bridge itself.
func (l *layout) link(first bool, cell string, k pod.Link, b *bridge) error {
	var addrs []netip.Prefix
	var gateways []netip.Addr
	for _, s := range []string{k.IPv4, k.IPv6} {
		if s == "" {
			continue
		}
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return err
		}
		addrs = append(addrs, p)
		if i := slices.IndexFunc(b.subnets, func(n netip.Prefix) bool { return n.Contains(p.Addr()) }); i >= 0 {
			gateways = append(gateways, b.gateways[i])
		}
	}
	mac := net.HardwareAddr(nil)
	if len(addrs) > 0 {
		// It follows from the address: who gets the address of a cell that went away is at once where others have it.
		mac = hardwareAddress(addrs[0].Addr().String(), b.known)
	}
	for _, s := range k.LinkLocal {
		p, err := linkLocal(s)
		if err != nil {
			return err
		}
		addrs = append(addrs, p)
	}
	if first {
		b.member, b.own = true, addrs
		if b.shared && len(addrs) > 0 {
			b.mac = mac
		}
		return nil
	}
	if k.MAC != "" {
		var err error
		if mac, err = net.ParseMAC(k.MAC); err != nil {
			return err
		}
	}
	if mac == nil {
		mac = hardwareAddress(cell, b.network)
	}
	l.wires = append(l.wires, wire{cell: cell, bridge: b.name, port: portName(cell, b.network), name: k.Interface, mac: mac,
		mtu: b.mtu, addrs: addrs, gateways: gateways, routes: slices.DeleteFunc(slices.Clone(gateways), func(g netip.Addr) bool { return b.internal || !isWayOut(k, g) })})
	return nil
}

// isWayOut says whether the default route of a gateway's family goes by a link.
func isWayOut(k pod.Link, gateway netip.Addr) bool {
	return k.Default && gateway.Is4() || k.Default6 && gateway.Is6()
}

// leads says whether the cell's default route of an address's family goes by a wire.
func (w wire) leads(a netip.Addr) bool {
	return slices.ContainsFunc(w.routes, func(g netip.Addr) bool { return g.Is4() == a.Is4() })
}

// linkLocal reads a further address; as docker has it, of 16 or 64 bits where no length is given.
func linkLocal(s string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return p, nil
	}
	addr, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Prefix{}, err
	}
	if addr.Is4() {
		return netip.PrefixFrom(addr, 16), nil
	}
	return netip.PrefixFrom(addr, 64), nil
}
