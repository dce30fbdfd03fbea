package supervisor

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"

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
	if err := n.meet(nil); err != nil {
		return err
	}
	sandbox.Meet(n.sandbox, maps.Clone(n.hubs))
	if err := n.sandbox.Arrange(ctx, t.Cells, t.Networks, t.Members); err != nil {
		return err
	}
	return errors.Join(n.part(nil), n.keep(), n.link(), n.openNames())
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
	if err := n.tellNames(running, ready); err != nil {
		s.warn("%v", err)
	}
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
