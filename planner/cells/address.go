package cells

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/pcompose/pcompose/pod"
)

// subnets is where the subnets of networks come from whose file names none, a /24 each. Only pods see them: two that share
// no network may have the same, but have not as long as there are others.
func subnets() netip.Prefix { return netip.MustParsePrefix("10.210.0.0/16") }

// subnets6 likewise, a /64 each: a unique local prefix (RFC 4193).
func subnets6() netip.Prefix { return netip.MustParsePrefix("fd70:636f:6d70::/48") }

// address gives networks their subnets and cells their links. A pod of one cell whose networks name no subnet needs
// none of it, unless it had them: to take an address from its containers would cut off who is just connected to it.
func address(spec pod.Spec, before *pod.Spec) (pod.Spec, error) {
	spec.Networks = slices.Clone(spec.Networks)
	linked := 0
	for _, c := range spec.Cells {
		if c.Mode == "" {
			linked++
		}
	}
	had := slices.ContainsFunc(before.Cells, func(c pod.Cell) bool { return c.Name == pod.DefaultCell && len(c.Links) > 0 })
	had = had && links(spec.Cells[0], spec) != nil
	if linked == 1 && !had && !slices.ContainsFunc(spec.Networks, func(n pod.Network) bool { return len(n.Pools) > 0 || n.External || n.Shared }) {
		return spec, nil
	}
	if err := settlePools(spec.Networks, before.Networks, spec.Elsewhere); err != nil {
		return spec, err
	}
	spec.Cells = slices.Clone(spec.Cells)
	for i := range spec.Cells {
		spec.Cells[i].Links = links(spec.Cells[i], spec)
	}
	for _, n := range spec.Networks {
		a := allocation{network: n, taken: map[netip.Addr]bool{}, leaving: map[netip.Addr]bool{}}
		a.reserve(spec.Cells)
		if err := a.give(spec.Cells, before.Cells); err != nil {
			return spec, err
		}
	}
	return spec, nil
}

// Complete gives a network that is alone what its file or command does not say of its pools, clear of the subnets elsewhere.
func Complete(n pod.Network, elsewhere []string) (pod.Network, error) {
	n.Shared = true
	all := []pod.Network{n}
	err := settlePools(all, nil, elsewhere)
	return all[0], err
}

// settlePools completes the pools of networks, with those they had before where they still fit, and else clear of those
// elsewhere; where none is left, only a shared network needs one.
func settlePools(networks, before []pod.Network, elsewhere []string) error {
	others := prefixes(elsewhere)
	var used []netip.Prefix
	for _, n := range networks {
		for _, p := range n.Pools {
			used = append(used, prefixes([]string{p.Subnet})...)
		}
	}
	for i := range networks {
		n := &networks[i]
		n.Pools = slices.Clone(n.Pools)
		var kept []pod.Pool
		if old := slices.IndexFunc(before, func(o pod.Network) bool { return o.Key == n.Key }); old >= 0 {
			kept = before[old].Pools
		}
		for _, family := range families(*n) {
			if slices.ContainsFunc(n.Pools, func(p pod.Pool) bool { return sameFamily(subnet(p), family) }) {
				continue
			}
			prefix, ok := keptPrefix(family, kept, used)
			if !ok {
				prefix, ok = choosePrefix(family, append(others, used...))
			}
			if !ok && !n.Shared {
				prefix, ok = choosePrefix(family, used)
			}
			if !ok {
				return fmt.Errorf("cannot give network %q a subnet: all of %s are used: name one in its ipam", n.Key, family)
			}
			used = append(used, prefix)
			n.Pools = append(n.Pools, pod.Pool{Subnet: prefix.String()})
		}
		nameGateways(n.Pools)
	}
	return nil
}

// prefixes are the subnets among some texts.
func prefixes(texts []string) []netip.Prefix {
	var all []netip.Prefix
	for _, text := range texts {
		if prefix, err := netip.ParsePrefix(text); err == nil {
			all = append(all, prefix.Masked())
		}
	}
	return all
}

// nameGateways gives pools without a gateway the first address of their subnets.
func nameGateways(pools []pod.Pool) {
	for i := range pools {
		if p := &pools[i]; p.Gateway == "" {
			p.Gateway = subnet(*p).Masked().Addr().Next().String()
		}
	}
}

// families are the prefixes that a network's own subnets would come from.
func families(n pod.Network) []netip.Prefix {
	var all []netip.Prefix
	if !n.NoIPv4 {
		all = append(all, subnets())
	}
	if n.IPv6 {
		all = append(all, subnets6())
	}
	return all
}

func sameFamily(a, b netip.Prefix) bool { return a.IsValid() && a.Addr().Is4() == b.Addr().Is4() }

// subnet is a pool's prefix; invalid for what load would have refused.
func subnet(p pod.Pool) netip.Prefix {
	prefix, _ := netip.ParsePrefix(p.Subnet)
	return prefix
}

// keptPrefix is the prefix of a family that the network had, where it overlaps nothing used.
func keptPrefix(family netip.Prefix, kept []pod.Pool, used []netip.Prefix) (netip.Prefix, bool) {
	for _, p := range kept {
		if old := subnet(p); sameFamily(old, family) && family.Overlaps(old) && !slices.ContainsFunc(used, old.Overlaps) {
			return old, true
		}
	}
	return netip.Prefix{}, false
}

// choosePrefix is the first prefix of a family that overlaps nothing used.
func choosePrefix(family netip.Prefix, used []netip.Prefix) (netip.Prefix, bool) {
	free := func(p netip.Prefix) bool { return !slices.ContainsFunc(used, p.Overlaps) }
	bits, octet := 24, 2
	if family.Addr().Is6() {
		bits, octet = 64, 7
	}
	for n := range 256 {
		b := family.Addr().AsSlice()
		b[octet] = byte(n)
		addr, _ := netip.AddrFromSlice(b)
		if p := netip.PrefixFrom(addr, bits); free(p) {
			return p, true
		}
	}
	return netip.Prefix{}, false
}

// links are a cell's places on the networks of its containers, without addresses that the file does not name.
// The container with the highest priority names the interfaces first, as docker does.
func links(c pod.Cell, spec pod.Spec) []pod.Link {
	i := slices.IndexFunc(spec.Containers, func(m pod.Container) bool {
		return m.Cell == c.Name && m.NetworkMode == "" && m.Sharing != pod.SharingShared
	})
	if i < 0 || c.Mode != "" {
		return nil
	}
	attached := slices.Clone(spec.Containers[i].Networks)
	slices.SortStableFunc(attached, func(a, b pod.Attachment) int {
		return cmp.Or(cmp.Compare(b.Priority, a.Priority), strings.Compare(a.Network, b.Network))
	})
	named := map[string]bool{}
	for _, a := range attached {
		named[a.Interface] = true
	}
	var all []pod.Link
	number := 0
	for _, a := range attached {
		l := pod.Link{Network: a.Network, Interface: a.Interface, MAC: a.MAC, IPv4: a.IPv4, IPv6: a.IPv6, LinkLocal: a.LinkLocal}
		// The first cell is the router: its links are the networks themselves.
		for c.Name != pod.DefaultCell && l.Interface == "" {
			if name := fmt.Sprintf("eth%d", number); !named[name] {
				l.Interface = name
			}
			number++
		}
		all = append(all, l)
	}
	if c.Name != pod.DefaultCell {
		way4 := wayOut(attached, spec.Networks, func(n pod.Network) bool { return !n.NoIPv4 })
		way6 := wayOut(attached, spec.Networks, func(n pod.Network) bool { return n.IPv6 })
		for i := range all {
			all[i].Default, all[i].Default6 = all[i].Network == way4, all[i].Network == way6
		}
	}
	slices.SortFunc(all, func(a, b pod.Link) int { return strings.Compare(a.Network, b.Network) })
	return all
}

// wayOut is the network with the default route of the family that networks have: as with docker the highest gw_priority, then one
// that has both families, then the first by name; none that is internal has one. "" is no such network.
func wayOut(attached []pod.Attachment, networks []pod.Network, has func(pod.Network) bool) string {
	network := func(key string) pod.Network {
		if i := slices.IndexFunc(networks, func(n pod.Network) bool { return n.Key == key }); i >= 0 {
			return networks[i]
		}
		return pod.Network{Key: key}
	}
	single := func(key string) int { // 0 sorts networks of both families before others
		if n := network(key); n.NoIPv4 || !n.IPv6 {
			return 1
		}
		return 0
	}
	ways := slices.DeleteFunc(slices.Clone(attached), func(a pod.Attachment) bool {
		n := network(a.Network)
		return n.Internal || !has(n)
	})
	if len(ways) == 0 {
		return ""
	}
	return slices.MinFunc(ways, func(a, b pod.Attachment) int {
		return cmp.Or(cmp.Compare(b.GatewayPriority, a.GatewayPriority), cmp.Compare(single(a.Network), single(b.Network)), strings.Compare(a.Network, b.Network))
	}).Network
}
