package supervisor

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/control"
	"github.com/pcompose/pcompose/pod/sandbox"
)

// rename gives a container, while it runs, the name of another, and what belongs to the name: its host ports and its
// place in the answers of the resolvers. The other is told of as not ready from then on. Asked again, it finds that done.
func rename(ctx context.Context, s *server, r control.Rename) error {
	var err error
	doErr := s.do(ctx, func() { err = s.rename(r) })
	return errors.Join(doErr, err)
}

func (s *Supervisor) rename(r control.Rename) error {
	c, err := s.find(r.ID)
	if err != nil {
		return err
	}
	names := map[string]string{}
	name := func(c *container, to string, leaving bool) error {
		next := c.bundle
		if next.Container.Name == to && next.Container.Leaving == leaving {
			return nil
		}
		names[next.Container.Name] = to
		next.Container = next.Container.Renamed(to)
		next.Container.Succeeds, next.Container.Leaving = "", leaving
		if err := control.WriteBundle(c.dir, next); err != nil {
			return err
		}
		c.bundle = next
		return nil
	}
	for _, other := range s.containers {
		if other != c && other.bundle.Container.Name == r.To {
			err = errors.Join(err, name(other, r.Was, true))
		}
	}
	if err = errors.Join(err, name(c, r.To, false)); err != nil {
		return err
	}
	if err = s.network.rename(names); err != nil {
		return err
	}
	for _, c := range s.containers {
		show(s, c)
	}
	tellNetwork(s)
	return nil
}

// rename has members of the network under other names.
func (n *network) rename(names map[string]string) error {
	if n.broken != nil || n.sandbox == nil {
		return n.broken
	}
	members := slices.Clone(n.pod.Topology.Members)
	for i := range members {
		members[i].Container = cmp.Or(names[members[i].Container], members[i].Container)
	}
	slices.SortFunc(members, func(a, b pod.Member) int { return cmp.Compare(a.Container, b.Container) })
	n.pod.Topology.Members = members
	if err := control.WritePod(n.dir, n.pod); err != nil {
		return err
	}
	sandbox.Rename(n.sandbox, names)
	return n.keep()
}
