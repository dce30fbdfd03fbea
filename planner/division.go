package planner

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/pcompose/pcompose/planner/cells"
	"github.com/pcompose/pcompose/pod"
)

// division is a choice as far as it is about cells, connection a plan in the making.
type (
	division   struct{ *choice }
	connection struct{ *up }
)

// divide gives every container its cell: those that the pod has keep theirs, and what the plan leaves alone counts.
func (ch division) divide() error {
	all := ch.desired
	all.Elsewhere = ch.observed.Elsewhere
	all.Containers = slices.Clone(all.Containers)
	all.Networks = slices.Clone(ch.networks)
	before := &pod.Spec{}
	if was := ch.observed.Spec; was != nil {
		before.Cells, before.Networks = was.Cells, was.Networks
	}
	// A plan that was cut off has left cells that the pod was not to have any more.
	before.Cells = slices.Clone(before.Cells)
	for _, c := range ch.observed.Topology.Cells {
		if !slices.ContainsFunc(before.Cells, func(b pod.Cell) bool { return b.Name == c.Name }) {
			before.Cells = append(before.Cells, c)
		}
	}
	for _, c := range ch.observed.Containers {
		before.Containers = append(before.Containers, c.Container)
	}
	// Who neither is there nor comes with this plan has no cell yet.
	all.Containers = slices.DeleteFunc(all.Containers, func(c pod.Container) bool {
		_, exists := ch.observed.Container(c.Name)
		return !exists && ch.fates[c.Name] == nil
	})
	for i, c := range all.Containers {
		if have, exists := ch.observed.Container(c.Name); exists && ch.opt.Recreate == RecreateNone {
			all.Containers[i] = have.Container
		}
	}
	for _, name := range ch.names {
		if c := ch.fates[name].want; c.OneOff {
			all.Containers = append(all.Containers, ch.oneOff(c))
		}
	}
	for _, c := range ch.staying() {
		if c.OneOff {
			c.Container = ch.oneOff(c.Container)
		}
		all.Containers = append(all.Containers, c.Container)
		for _, a := range c.Networks {
			known := func(n pod.Network) bool { return n.Key == a.Network }
			if i := slices.IndexFunc(before.Networks, known); i >= 0 && !slices.ContainsFunc(all.Networks, known) {
				all.Networks = append(all.Networks, before.Networks[i])
			}
		}
	}
	ch.joinOwners(all.Containers, before)
	ch.desired.Denied = ch.denied()
	if all.Denied = ch.desired.Denied; ch.opt.Recreate == RecreateNone {
		all.Denied = nil // nobody may be moved
	}
	return ch.plan(all, before)
}

// oneOff is a container of `run` with what it is taken to listen on: what it publishes, and where it runs the command of its
// service what that declares. A command of its own need not listen.
func (ch division) oneOff(c pod.Container) pod.Container {
	c.Listens = nil
	i := slices.IndexFunc(ch.desired.Containers, func(s pod.Container) bool {
		return s.Service == c.Service && slices.Equal(s.Command, c.Command) && slices.Equal(s.Entrypoint, c.Entrypoint)
	})
	if i < 0 {
		c.Image = ""
	} else {
		c.Listens = slices.Clone(ch.desired.Containers[i].Listens)
	}
	for _, p := range c.Ports {
		c.Listens = append(c.Listens, pod.Listen{Port: p.ContainerPort, Protocol: p.Protocol})
	}
	return c
}

// plan gives cells to all of a pod: where containers and their successors both run, first to both, so that what stays
// when the ones have gone is where the others were.
func (ch division) plan(all pod.Spec, before *pod.Spec) error {
	ch.during = pod.Spec{}
	if both, some := ch.both(all); some {
		during, err := cells.Plan(both, ch.observed.Images, before)
		if err != nil {
			return err
		}
		ch.during, before = during, ch.succeeded(during)
	}
	planned, err := cells.Plan(all, ch.observed.Images, before)
	if err != nil {
		return err
	}
	ch.settle(planned)
	return nil
}

// denied are the ports that containers could not bind, until now and as remembered. A container that is new is likely to
// want what others of its service wanted.
func (ch division) denied() []pod.Denial {
	known := ch.observed.Denied
	if was := ch.observed.Spec; was != nil {
		known = pod.Denials(known, was.Denied)
	}
	all := slices.Clone(known)
	for _, c := range ch.desired.Containers {
		_, exists := ch.observed.Container(c.Name)
		for _, d := range known {
			if !exists && d.Service == c.Service && d.By != c.Name {
				d.Container = c.Name
				all = append(all, d)
			}
		}
	}
	return pod.Denials(all)
}

// noteDenied notes what could not bind a port and stays with who has it.
func noteDenied(u *up) {
	cell := func(name string) string {
		if f := u.fates[name]; f != nil {
			return f.want.Cell
		}
		c, _ := u.observed.Container(name)
		return c.Cell
	}
	for _, d := range u.observed.Denied {
		if cell(d.Container) == cell(d.By) {
			u.plan.note("%s could not listen on port %d/%s: %s has it, in the same network", d.Container, d.Port, d.Protocol, d.By)
		}
	}
}

// both is a pod with the containers that are there in place of those wanted, and their successors beside them.
func (ch division) both(all pod.Spec) (both pod.Spec, some bool) {
	both = all
	both.Containers = nil
	for _, c := range all.Containers {
		f := ch.fates[c.Name]
		if f == nil || f.turn != startFirst {
			both.Containers = append(both.Containers, c)
			continue
		}
		some = true
		if f.exists {
			both.Containers = append(both.Containers, f.have.Container)
		}
		both.Containers = append(both.Containers, f.want.Successor())
	}
	slices.SortFunc(both.Containers, func(a, b pod.Container) int { return strings.Compare(a.Name, b.Name) })
	return both, some
}

// succeeded is a pod once every successor has taken its place.
func (ch division) succeeded(during pod.Spec) *pod.Spec {
	var rest []pod.Container
	for _, c := range during.Containers {
		f := ch.fates[c.Name]
		switch {
		case c.Succeeds != "" && ch.fates[c.Succeeds] != nil:
			rest = append(rest, c.Renamed(c.Succeeds))
		case f == nil || f.turn != startFirst:
			rest = append(rest, c)
		}
	}
	during.Containers = rest
	return &during
}

// settle takes over what was planned of cells.
func (ch division) settle(planned pod.Spec) {
	ch.topology = planned.Topology()
	slices.SortFunc(ch.topology.Members, func(a, b pod.Member) int { return strings.Compare(a.Container, b.Container) })
	in := map[string]string{}
	for _, c := range planned.Containers {
		in[c.Name] = c.Cell
	}
	ch.desired.Cells, ch.desired.Networks = planned.Cells, planned.Networks
	ch.desired.Containers = slices.Clone(ch.desired.Containers)
	for i := range ch.desired.Containers {
		c := &ch.desired.Containers[i]
		c.Cell = cmp.Or(in[c.Name], pod.DefaultCell)
		if f := ch.fates[c.Name]; f != nil {
			f.want.Cell = c.Cell
		}
	}
	for _, name := range ch.names {
		if f := ch.fates[name]; f.want.OneOff { // it is none of the desired
			f.want.Cell = cmp.Or(in[name], pod.DefaultCell)
		}
	}
}

// whyMoved is why a container is in another cell than it was, for the reason of its replacement.
func whyMoved(ch *choice, f *fate) string {
	if !f.exists || f.want.Cell == f.have.Cell {
		return ""
	}
	for _, c := range ch.topology.Cells {
		if c.Name == f.want.Cell && c.Why != "" {
			return fmt.Sprintf(" (%s)", c.Why)
		}
	}
	return ""
}

// meanwhile is the topology while the plan is carried out: the planned one, and the cells and networks of containers
// that have not left theirs yet. An address has one owner: who leaves loses it to who has it from now on.
func (u connection) meanwhile() pod.Topology {
	t := u.topology
	if u.during.Cells != nil {
		t = u.during.Topology()
	}
	t.Cells, t.Networks, t.Members = slices.Clone(t.Cells), slices.Clone(t.Networks), slices.Clone(t.Members)
	was := u.observed.Topology
	for _, c := range was.Cells {
		inhabited := slices.ContainsFunc(u.observed.Containers, func(o pod.ContainerStatus) bool { return o.Cell == c.Name && o.Run.State.Alive() })
		if !inhabited || hasCell(t, c.Name) {
			continue
		}
		t.Cells = append(t.Cells, withoutAddressesOf(t.Cells, c))
		for _, l := range c.Links {
			is := func(n pod.Network) bool { return n.Key == l.Network }
			if i := slices.IndexFunc(was.Networks, is); i >= 0 && !slices.ContainsFunc(t.Networks, is) {
				t.Networks = append(t.Networks, was.Networks[i])
			}
		}
	}
	for _, m := range was.Members {
		if hasCell(t, m.Cell) && !slices.ContainsFunc(t.Members, func(o pod.Member) bool { return o.Container == m.Container }) {
			t.Members = append(t.Members, m)
		}
	}
	slices.SortFunc(t.Cells[1:], func(a, b pod.Cell) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(t.Networks, func(a, b pod.Network) int { return strings.Compare(a.Key, b.Key) })
	slices.SortFunc(t.Members, func(a, b pod.Member) int { return strings.Compare(a.Container, b.Container) })
	return t
}

// withoutAddressesOf is a cell without the addresses that others have.
func withoutAddressesOf(others []pod.Cell, c pod.Cell) pod.Cell {
	c.Links = slices.Clone(c.Links)
	for i := range c.Links {
		mine := &c.Links[i]
		for _, o := range others {
			for _, l := range o.Links {
				if l.Network != mine.Network {
					continue
				}
				if l.IPv4 == mine.IPv4 {
					mine.IPv4 = ""
				}
				if l.IPv6 == mine.IPv6 {
					mine.IPv6 = ""
				}
			}
		}
	}
	return c
}

func hasCell(t pod.Topology, name string) bool {
	return slices.ContainsFunc(t.Cells, func(c pod.Cell) bool { return c.Name == name })
}

// connect is the step from one topology to another.
func (u connection) connect(from, to pod.Topology, why string, after ...int) int {
	a := ConnectCells{Name: u.desired.Name, Topology: to}
	for _, c := range to.Cells {
		if !hasCell(from, c.Name) {
			a.Added = append(a.Added, c)
		}
	}
	for _, c := range from.Cells {
		if !hasCell(to, c.Name) {
			a.Removed = append(a.Removed, c.Name)
		}
	}
	return u.plan.add(a, why, after...)
}

// disconnect adds the end of cells that nobody is in after the plan.
func (u connection) disconnect() {
	if !u.observed.Up || u.opt.CreateOnly || sameTopology(u.meanwhile(), u.topology) {
		return
	}
	var after []int
	for _, c := range u.observed.Containers {
		after = append(after, u.stoppedBy[c.Name], u.removedBy[c.Name])
	}
	u.connect(u.meanwhile(), u.topology, "nobody is left there", append(after, u.portsDone)...)
}

// sameTopology compares as they are stored, but for the reasons.
func sameTopology(a, b pod.Topology) bool {
	return bytes.Equal(canonical(a), canonical(b))
}

func canonical(t pod.Topology) []byte {
	t.Cells = slices.Clone(t.Cells)
	for i := range t.Cells {
		t.Cells[i].Why = ""
	}
	text, err := json.Marshal(t)
	if err != nil {
		panic(fmt.Sprintf("a pod.Topology does not marshal: %v", err)) // only plain fields: it always does
	}
	return text
}
