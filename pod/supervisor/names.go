package supervisor

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/resolver"
	"github.com/pcompose/pcompose/pod/sandbox"
)

// tellNames makes the resolvers answer for exactly these containers, those that run, and of those with a common name for
// the ready ones where there are any. Other pods are told of them too.
func (n *network) tellNames(running []pod.Container, ready map[string]bool) error {
	slices.SortFunc(running, func(a, b pod.Container) int { return strings.Compare(a.Name, b.Name) })
	topology := n.pod.Topology
	for cell, server := range n.names {
		elsewhere, box := n.elsewhere(cell, linked(cell, running)), n.sandbox
		server.Show(func() resolver.View {
			v := view(cell, topology, running, ready)
			v.Elsewhere = elsewhere
			if asks := servers(cell, topology); len(asks) > 0 {
				// As docker has it, they are asked from the container's place: one may be a container, or in the cell itself.
				v.Upstream = func() []netip.AddrPort { return asks }
				v.Dial = func(network string, to netip.AddrPort) (net.Conn, error) {
					return sandbox.DialFrom(box, cell, network, to, resolver.Timeout)
				}
			}
			return v
		})
	}
	return n.tellOthers(running, ready)
}

// servers are whom the file has a cell's resolver ask.
func servers(cell string, t pod.Topology) []netip.AddrPort {
	var all []netip.AddrPort
	for _, c := range t.Cells {
		for _, s := range c.Servers {
			if a, err := netip.ParseAddr(s); err == nil && c.Name == cell {
				all = append(all, netip.AddrPortFrom(a, resolver.Port))
			}
		}
	}
	return all
}

// view is what a cell knows of the containers that run.
func view(cell string, t pod.Topology, running []pod.Container, ready map[string]bool) resolver.View {
	var all []known
	links := linked(cell, running)
	for _, seen := range sandbox.See(cell, t, running) {
		c := seen.Container
		own := append([]string{c.Hostname}, links[c.Name]...)
		k := known{container: c.Name, ready: ready[c.Name]}
		for i := range seen.Networks {
			at := seen.At(i)
			k.places = append(k.places, place{nameOf(t, at.Networks[0]), lower(slices.Concat(at.Names(), own)), at.Addrs})
		}
		if len(seen.Networks) == 0 {
			k.places = []place{{"", lower(slices.Concat(seen.Names(), own)), seen.Addrs}}
		}
		if !c.OneOff {
			k.service, k.listens = c.Service, c.Listens
		}
		all = append(all, k)
	}
	v := viewOf(all)
	if hasWayOut(cell, t) {
		v.Upstream = func() []netip.AddrPort { return sandbox.HostResolvers("/") }
	}
	return v
}

// nameOf is what a network of the file is called on the machine.
func nameOf(t pod.Topology, key string) string {
	i := slices.IndexFunc(t.Networks, func(n pod.Network) bool { return n.Key == key })
	if i < 0 {
		return key
	}
	return t.Networks[i].Name
}

// linked are the names that the containers of a cell have for others by themselves, by container.
func linked(cell string, running []pod.Container) map[string][]string {
	names := map[string][]string{}
	for _, c := range running {
		for _, a := range c.Aliases {
			if c.Cell == cell && a.Container != "" {
				names[a.Container] = append(names[a.Container], a.Name)
			}
		}
	}
	return names
}

// known is what a view has of a container: no service for one of `run`.
type known struct {
	container string
	places    []place
	ready     bool
	service   string
	listens   []pod.Listen
}

// place is where a container is seen: a network, by what it is called on the machine, and names, lower case, and addresses there.
type place struct {
	network string
	names   []string
	addrs   []netip.Addr
}

// viewOf is a view of containers. A name that is known on several networks is that of the first of them: as with docker, who has
// an alias on one is not mixed with who has it on the other. "web.shop_front" is web on the network shop_front.
func viewOf(all []known) resolver.View {
	v := resolver.View{Names: map[string][]netip.Addr{}, Pointers: map[netip.Addr]string{}, Services: map[string][]resolver.Service{}}
	answers := readyNames(all)
	type spot struct {
		place
		known
	}
	var spots []spot
	for _, k := range all {
		for _, p := range k.places {
			spots = append(spots, spot{p, k})
		}
		if k.service != "" && (k.ready || !answers[strings.ToLower(k.service)]) {
			k.tellServices(v)
		}
	}
	slices.SortStableFunc(spots, func(a, b spot) int { return strings.Compare(a.network, b.network) })
	first := map[string]string{} // the network of each name
	for _, s := range spots {
		for _, name := range s.names {
			if answers[name] && !s.ready {
				continue
			}
			if on, ok := first[name]; !ok || on == s.network {
				first[name] = s.network
				tell(v, name, s.addrs)
			}
			if s.network != "" {
				tell(v, name+"."+strings.ToLower(s.network), s.addrs)
			}
		}
		point(v, s.addrs, s.container)
	}
	return v
}

// tell adds addresses to a name.
func tell(v resolver.View, name string, addrs []netip.Addr) {
	for _, a := range addrs {
		if !slices.Contains(v.Names[name], a) {
			v.Names[name] = append(v.Names[name], a)
		}
	}
}

// point adds the name of addresses; those of loopback are everybody's.
func point(v resolver.View, addrs []netip.Addr, container string) {
	for _, a := range addrs {
		if !a.IsLoopback() {
			v.Pointers[a] = container
		}
	}
}

// tellServices adds the SRV records of what a container listens on.
func (k known) tellServices(v resolver.View) {
	for _, l := range k.listens {
		key := fmt.Sprintf("_%d._%s.%s", l.Port, l.Protocol, strings.ToLower(k.service))
		v.Services[key] = append(v.Services[key], resolver.Service{Target: strings.ToLower(k.container), Port: l.Port})
	}
}

// readyNames are the names of which a container is ready.
func readyNames(all []known) map[string]bool {
	names := map[string]bool{}
	for _, k := range all {
		for _, p := range k.places {
			for _, name := range p.names {
				names[name] = names[name] || k.ready
			}
		}
	}
	return names
}

// lower are names as DNS compares them: lower case, sorted.
func lower(names []string) []string {
	for i := range names {
		names[i] = strings.ToLower(names[i])
	}
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(n string) bool { return n == "" })
}
