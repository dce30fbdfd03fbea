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
		k := known{container: c.Name, names: lower(slices.Concat(seen.Names(), []string{c.Hostname}, links[c.Name])), addrs: seen.Addrs, ready: ready[c.Name]}
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
	names     []string
	addrs     []netip.Addr
	ready     bool
	service   string
	listens   []pod.Listen
}

// viewOf is a view of containers.
func viewOf(all []known) resolver.View {
	v := resolver.View{Names: map[string][]netip.Addr{}, Pointers: map[netip.Addr]string{}, Services: map[string][]resolver.Service{}}
	answers := readyNames(all)
	for _, k := range all {
		for _, name := range k.names {
			if answers[name] && !k.ready {
				continue
			}
			for _, a := range k.addrs {
				if !slices.Contains(v.Names[name], a) {
					v.Names[name] = append(v.Names[name], a)
				}
			}
		}
		for _, a := range k.addrs {
			if !a.IsLoopback() {
				v.Pointers[a] = k.container
			}
		}
		if k.service != "" && (k.ready || !answers[strings.ToLower(k.service)]) {
			k.tellServices(v)
		}
	}
	return v
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
		for _, name := range k.names {
			names[name] = names[name] || k.ready
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
