package cells

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/pcompose/pcompose/pod"
)

// allocation is the addresses of one network on their way to cells.
type allocation struct {
	network pod.Network
	taken   map[netip.Addr]bool
}

// reserve takes out what is not to be chosen: gateways, reserved addresses, and those that the file gives to a cell.
func (a *allocation) reserve(cells []pod.Cell) {
	take := func(s string) {
		if addr, err := netip.ParseAddr(s); err == nil {
			a.taken[addr] = true
		}
	}
	for _, p := range a.network.Pools {
		take(p.Gateway)
		for _, s := range p.Reserved {
			take(s)
		}
	}
	for _, c := range cells {
		if l := link(c, a.network.Key); l != nil {
			take(l.IPv4)
			take(l.IPv6)
		}
	}
}

// link is a cell's link to a network, nil for none; it can be written to.
func link(c pod.Cell, network string) *pod.Link {
	i := slices.IndexFunc(c.Links, func(l pod.Link) bool { return l.Network == network })
	if i < 0 {
		return nil
	}
	return &c.Links[i]
}

// give completes the links of the network: first those that keep what they had, then the others, in the order of the
// cells.
func (a *allocation) give(cells, before []pod.Cell) error {
	old := map[string]*pod.Link{}
	for _, c := range before {
		old[c.Name] = link(c, a.network.Key)
	}
	for _, keep := range []bool{true, false} {
		for _, c := range cells {
			l := link(c, a.network.Key)
			if l == nil {
				continue
			}
			for _, p := range a.network.Pools {
				have := &l.IPv4
				if subnet(p).Addr().Is6() {
					have = &l.IPv6
				}
				kept := ""
				if o := old[c.Name]; o != nil && have == &l.IPv4 {
					kept = o.IPv4
				} else if o != nil {
					kept = o.IPv6
				}
				if err := a.settle(have, p, kept, keep); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// settle completes one address: one that the file names gets its prefix length, one that was is kept while it is
// free, and with keep false the first free one is taken.
func (a *allocation) settle(have *string, p pod.Pool, kept string, keep bool) error {
	prefix := subnet(p)
	if named, err := netip.ParseAddr(*have); err == nil {
		if who := a.network.Taken[named.String()]; who != "" {
			return fmt.Errorf("cannot give address %s on network %q: %s has it", named, a.network.Key, who)
		}
		if prefix.Contains(named) {
			*have = netip.PrefixFrom(named, prefix.Bits()).String()
		}
		return nil
	}
	if *have != "" {
		return nil
	}
	if old, err := netip.ParsePrefix(kept); keep {
		if err == nil && old.Bits() == prefix.Bits() && a.free(old.Addr(), p) {
			a.taken[old.Addr()] = true
			*have = kept
		}
		return nil
	}
	from := prefix
	if p.Range != "" {
		from = subnet(pod.Pool{Subnet: p.Range})
	}
	for addr := from.Masked().Addr(); from.Contains(addr); addr = addr.Next() {
		if a.free(addr, p) {
			a.taken[addr] = true
			*have = netip.PrefixFrom(addr, prefix.Bits()).String()
			return nil
		}
	}
	return fmt.Errorf("cannot give every cell an address on network %q: %s is used up: choose a wider ip_range or subnet", a.network.Key, from)
}

// free says whether an address of a pool may be given: a host's address of its range, given to nobody.
func (a *allocation) free(addr netip.Addr, p pod.Pool) bool {
	prefix := subnet(p).Masked()
	if !prefix.Contains(addr) || a.taken[addr] || a.network.Taken[addr.String()] != "" || addr == prefix.Addr() {
		return false
	}
	if p.Range != "" && !subnet(pod.Pool{Subnet: p.Range}).Contains(addr) {
		return false
	}
	// The last address of an IPv4 subnet is its broadcast address.
	return addr.Is6() || prefix.Contains(addr.Next())
}
