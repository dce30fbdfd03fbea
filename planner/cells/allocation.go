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
	// leaving are those of cells that go. Who lives there does so until the plan ends it: who asked for a newcomer of the
	// same address could be sent there.
	leaving map[netip.Addr]bool
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
	old := a.leave(cells, before)
	for _, keep := range []bool{true, false} {
		for _, c := range cells {
			l := link(c, a.network.Key)
			if l == nil {
				continue
			}
			for _, p := range a.network.Pools {
				have, kept := &l.IPv4, old[c.Name].IPv4
				if subnet(p).Addr().Is6() {
					have, kept = &l.IPv6, old[c.Name].IPv6
				}
				if err := a.settle(have, p, kept, keep); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// leave notes the addresses of cells that go, and gives what each cell of before had, by its name.
func (a *allocation) leave(cells, before []pod.Cell) map[string]pod.Link {
	had := map[string]pod.Link{}
	for _, c := range before {
		l := link(c, a.network.Key)
		if l == nil {
			continue
		}
		had[c.Name] = *l
		if slices.ContainsFunc(cells, func(n pod.Cell) bool { return n.Name == c.Name }) {
			continue
		}
		for _, text := range []string{l.IPv4, l.IPv6} {
			if p, err := netip.ParsePrefix(text); err == nil {
				a.leaving[p.Addr()] = true
			}
		}
	}
	return had
}

// settle completes one address: one that the file names gets its prefix length, one that was is kept while it is
// free, and with keep false the first free one is taken, of those that leave only where there is no other.
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
	chosen := a.first(from, p)
	if !chosen.IsValid() {
		return fmt.Errorf("cannot give every cell an address on network %q: %s is used up: choose a wider ip_range or subnet", a.network.Key, from)
	}
	a.taken[chosen] = true
	*have = netip.PrefixFrom(chosen, prefix.Bits()).String()
	return nil
}

// first is the first free address of a prefix; invalid where there is none.
func (a *allocation) first(from netip.Prefix, p pod.Pool) (leaving netip.Addr) {
	for addr := from.Masked().Addr(); from.Contains(addr); addr = addr.Next() {
		switch {
		case !a.free(addr, p):
		case !a.leaving[addr]:
			return addr
		case !leaving.IsValid():
			leaving = addr
		}
	}
	return leaving
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
