package supervisor

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/hub"
	"github.com/pcompose/pcompose/pod/keeper"
	"github.com/pcompose/pcompose/pod/resolver"
	"github.com/pcompose/pcompose/pod/sandbox"
)

// hubPrefix begins the keys of the hubs that the keeper holds.
const hubPrefix = "hub/"

// meet joins the shared networks of the pod; kept are the hubs that the keeper holds.
func (n *network) meet(kept map[string][]*os.File) error {
	for _, s := range n.shared() {
		if n.hubs[s.Name] != nil {
			continue
		}
		var held *os.File
		if f := kept[hubPrefix+s.Name]; len(f) > 0 {
			held = f[0]
		}
		f, err := n.seat(s.Name).Join(n.pod.Name, held, sandbox.NewHub, func(f *os.File) (string, error) {
			numbers, err := n.keeper.Put(hubPrefix+s.Name, f)
			if err != nil {
				return "", err
			}
			pid, _ := keeper.Find(n.dir)
			return fmt.Sprintf("/proc/%d/fd/%d", pid, numbers[0]), nil
		})
		if err != nil {
			return fmt.Errorf("cannot join network %q: %w", s.Name, err)
		}
		if n.hubs == nil {
			n.hubs = map[string]*os.File{}
		}
		n.hubs[s.Name] = f
	}
	return nil
}

// part leaves the hubs that are none of the pod's shared networks: those it has, and those the keeper holds.
func (n *network) part(kept map[string][]*os.File) error {
	names := map[string]bool{}
	for name := range n.hubs {
		names[name] = true
	}
	for key := range kept {
		if name, ok := strings.CutPrefix(key, hubPrefix); ok {
			names[name] = true
		}
	}
	for _, s := range n.shared() {
		delete(names, s.Name)
	}
	var errs []error
	for name := range names {
		errs = append(errs, n.leave(name))
	}
	return errors.Join(errs...)
}

// leave leaves one hub.
func (n *network) leave(name string) error {
	err := errors.Join(n.seat(name).Leave(), n.keeper.Drop(hubPrefix+name))
	if f := n.hubs[name]; f != nil {
		err = errors.Join(err, f.Close())
	}
	delete(n.hubs, name)
	return err
}

func (n *network) seat(network string) hub.Seat { return hub.NewSeat(n.pod.Hubs, network, n.pod.ID) }

// shared are the pod's networks that are other pods' too and that a cell is linked to.
func (n *network) shared() []pod.Network {
	t := n.pod.Topology
	return slices.DeleteFunc(slices.Clone(t.Networks), func(w pod.Network) bool {
		return !w.Shared || !slices.ContainsFunc(t.Cells, func(c pod.Cell) bool {
			return slices.ContainsFunc(c.Links, func(l pod.Link) bool { return l.Network == w.Key })
		})
	})
}

// tellOthers tells the pods on shared networks whom this one has there.
func (n *network) tellOthers(running []pod.Container, ready map[string]bool) error {
	var errs []error
	for _, s := range n.shared() {
		if n.hubs[s.Name] == nil {
			continue
		}
		var residents []hub.Resident
		for _, c := range running {
			if r, ok := resident(c, s, n.pod.Topology); ok && !s.Nameless {
				r.Ready = ready[c.Name]
				residents = append(residents, r)
			}
		}
		errs = append(errs, n.seat(s.Name).Tell(residents))
	}
	return errors.Join(errs...)
}

// resident is a container as those of other pods see it on a network.
func resident(c pod.Container, network pod.Network, t pod.Topology) (hub.Resident, bool) {
	r := hub.Resident{Container: c.Name}
	for _, cell := range t.Cells {
		for _, l := range cell.Links {
			if cell.Name != c.Cell || l.Network != network.Key {
				continue
			}
			for _, s := range []string{l.IPv4, l.IPv6} {
				if p, err := netip.ParsePrefix(s); err == nil {
					r.Addrs = append(r.Addrs, p.Addr())
				}
			}
		}
	}
	r.Names = lower(sandbox.Seen{Container: c, Networks: []string{network.Key}}.Names())
	if !c.OneOff {
		r.Service, r.Listens = c.Service, c.Listens
	}
	return r, len(r.Addrs) > 0
}

// elsewhere is what a cell knows of the containers of other pods, those on its shared networks; links has further names by
// container.
func (n *network) elsewhere(cell string, links map[string][]string) func() resolver.View {
	type seat struct {
		hub.Seat
		network string
	}
	var seats []seat
	for _, s := range n.shared() {
		linked := func(c pod.Cell) bool {
			return c.Name == cell && slices.ContainsFunc(c.Links, func(l pod.Link) bool { return l.Network == s.Key })
		}
		if slices.ContainsFunc(n.pod.Topology.Cells, linked) {
			seats = append(seats, seat{n.seat(s.Name), s.Name})
		}
	}
	if len(seats) == 0 {
		return nil
	}
	return func() resolver.View {
		var all []known
		for _, s := range seats {
			for _, r := range s.Residents() {
				at := []place{{s.network, lower(slices.Concat(r.Names, links[r.Container])), r.Addrs}}
				all = append(all, known{r.Container, at, r.Ready, r.Service, r.Listens})
			}
		}
		return viewOf(all)
	}
}
