package supervisor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/control"
	"github.com/pcompose/pcompose/pod/resolver"
	"github.com/pcompose/pcompose/pod/sandbox"
)

// connect makes the pod's network what t says. It is written down before: a supervisor that takes over finishes it.
func (n *network) connect(ctx context.Context, t pod.Topology) error {
	if n.broken != nil {
		return n.broken
	}
	n.pod.Topology = t
	if err := control.WritePod(n.dir, n.pod); err != nil {
		return err
	}
	if err := n.sandbox.Arrange(ctx, t.Cells, t.Networks, t.Members); err != nil {
		return err
	}
	return errors.Join(n.keep(), n.link(), n.openNames())
}

// openNames makes a resolver in each cell that has one, and ends those of cells that are no more.
func (n *network) openNames() error {
	wanted := map[string]bool{}
	var errs []error
	for _, c := range n.pod.Topology.Cells {
		wanted[c.Name] = c.Resolver
		if !c.Resolver || n.names[c.Name] != nil {
			continue
		}
		udp, tcp, err := n.sandbox.ListenNames(c.Name, netip.AddrPortFrom(resolver.Addr(), resolver.Port))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if n.names == nil {
			n.names = map[string]*resolver.Server{}
		}
		n.names[c.Name] = resolver.New(udp, tcp)
	}
	for _, cell := range slices.Sorted(maps.Keys(n.names)) {
		if !wanted[cell] {
			errs = append(errs, n.names[cell].Close())
			delete(n.names, cell)
		}
	}
	return errors.Join(errs...)
}

// closeNames ends all resolvers.
func (n *network) closeNames() error {
	var errs []error
	for _, s := range n.names {
		errs = append(errs, s.Close())
	}
	n.names = nil
	return errors.Join(errs...)
}

// tellNames makes the resolvers answer for exactly these containers, those that run, and of those with a common name for
// the ready ones where there are any.
func (n *network) tellNames(running []pod.Container, ready map[string]bool) {
	slices.SortFunc(running, func(a, b pod.Container) int { return strings.Compare(a.Name, b.Name) })
	topology := n.pod.Topology
	for cell, server := range n.names {
		server.Show(func() resolver.View { return view(cell, topology, running, ready) })
	}
}

// view is what a cell knows of the containers that run.
func view(cell string, t pod.Topology, running []pod.Container, ready map[string]bool) resolver.View {
	v := resolver.View{Names: map[string][]netip.Addr{}, Pointers: map[netip.Addr]string{}, Services: map[string][]resolver.Service{}}
	if hasWayOut(cell, t) {
		v.Upstream = func() []netip.AddrPort { return sandbox.HostResolvers("/") }
	}
	all := sandbox.See(cell, t, running)
	answers := readyNames(all, ready)
	for _, seen := range all {
		c := seen.Container
		for _, name := range namesOf(seen) {
			if answers[name] && !ready[c.Name] {
				continue
			}
			for _, a := range seen.Addrs {
				if !slices.Contains(v.Names[name], a) {
					v.Names[name] = append(v.Names[name], a)
				}
			}
		}
		for _, a := range seen.Addrs {
			if !a.IsLoopback() {
				v.Pointers[a] = c.Name
			}
		}
		if !c.OneOff && (ready[c.Name] || !answers[strings.ToLower(c.Service)]) {
			tellServices(v, c)
		}
	}
	return v
}

// tellServices adds the SRV records of what a container listens on.
func tellServices(v resolver.View, c pod.Container) {
	for _, l := range c.Listens {
		key := fmt.Sprintf("_%d._%s.%s", l.Port, l.Protocol, strings.ToLower(c.Service))
		v.Services[key] = append(v.Services[key], resolver.Service{Target: strings.ToLower(c.Name), Port: l.Port})
	}
}

// readyNames are the names of which a container is ready.
func readyNames(all []sandbox.Seen, ready map[string]bool) map[string]bool {
	names := map[string]bool{}
	for _, seen := range all {
		for _, name := range namesOf(seen) {
			names[name] = names[name] || ready[seen.Container.Name]
		}
	}
	return names
}

// hasWayOut says whether a cell's containers reach beyond the pod, and so may ask there: not where all their networks
// are internal.
func hasWayOut(cell string, t pod.Topology) bool {
	for _, c := range t.Cells {
		if c.Name != cell || len(c.Links) == 0 {
			continue
		}
		return slices.ContainsFunc(c.Links, func(l pod.Link) bool {
			return !slices.ContainsFunc(t.Networks, func(n pod.Network) bool { return n.Key == l.Network && n.Internal })
		})
	}
	return true
}

// namesOf are the names that others find a container by, lower case as DNS compares them.
func namesOf(seen sandbox.Seen) []string {
	names := append(seen.Names(), seen.Container.Hostname)
	for i := range names {
		names[i] = strings.ToLower(names[i])
	}
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(n string) bool { return n == "" })
}

// connect makes the pod's network what t says, for who asks it.
func connect(ctx context.Context, s *server, t pod.Topology) error {
	var err error
	doErr := s.do(ctx, func() {
		if err = s.network.connect(ctx, t); err == nil {
			tellNetwork(s.Supervisor)
		}
	})
	return errors.Join(doErr, err)
}

// tellNetwork tells names and readiness of the containers to the network.
func tellNetwork(s *Supervisor) {
	n := s.network
	if n.broken != nil || n.sandbox == nil {
		return
	}
	var running []pod.Container
	ready := map[string]bool{}
	for _, c := range s.containers {
		if c.shown.runs {
			running = append(running, c.bundle.Container)
			ready[c.bundle.Container.Name] = c.shown.ready
		}
	}
	n.tellNames(running, ready)
	for _, m := range n.pod.Topology.Members {
		if err := n.sandbox.Ready(m.Container, ready[m.Container]); err != nil {
			s.warn("%v", err)
		}
	}
}

// show tells the network of a container where it came, went, or became ready or not.
func show(s *Supervisor, c *container) {
	if before := c.shown; c.look() != before {
		tellNetwork(s)
	}
}

// look is what the network is to know of a container now.
func (c *container) look() shown {
	run := c.run.Run
	c.shown.runs = run.State == pod.StateRunning || run.State == pod.StatePaused
	// It takes connections when it runs, its health check says so, and nobody has asked for its end.
	c.shown.ready = run.State == pod.StateRunning && !run.Stopped && !c.bundle.Container.Leaving && (run.Health == "" || run.Health == pod.HealthHealthy)
	return c.shown
}
