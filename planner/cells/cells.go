// Package cells is the fewest network namespaces that keep every promise of the file.
//
// Containers share a cell unless a promise of theirs forbids it: they declare one port, they are attached to
// different networks, or something of one would change or be reached by the others (a static address, net.*
// sysctls, NET_ADMIN). Containers that join another's network by network_mode are with it in any case.
//
// A pod that runs keeps its cells: a container is not moved for the sake of a smaller number, since to move it is to
// replace it.
package cells

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/pcompose/pcompose/pod"
)

// Plan gives each container of a pod its cell, each cell its links, and each network its subnets. images are those in
// the store by reference: a container whose file declares no port has those of its image. before is what the pod was
// last told to be, nil for none; what can stay as it was there does. The first cell is pod.DefaultCell, which is also
// the router and may be without containers.
//
// The error is a network without a free address.
func Plan(spec pod.Spec, images map[string]pod.Image, before *pod.Spec) (pod.Spec, error) {
	if before == nil {
		before = &pod.Spec{}
	}
	p := partition{units: units(spec, images), taken: map[string]bool{pod.DefaultCell: true}}
	p.remember(before)
	p.fixed()
	for _, class := range p.classes() {
		p.colour(class)
	}
	p.choose()
	spec.Cells = p.list()
	spec.Containers = slices.Clone(spec.Containers)
	in := p.members()
	for i, c := range spec.Containers {
		spec.Containers[i].Cell = cmp.Or(in[c.Name], pod.DefaultCell)
	}
	return address(spec, before)
}

// partition is units on their way into cells.
type partition struct {
	units []*unit
	cells []*cell
	// taken are the names of cells that are given away, and may be of before.
	taken map[string]bool
}

// cell is a cell to be.
type cell struct {
	// name is "" until it is settled.
	name  string
	why   string
	mode  pod.NetworkMode
	class string
	units []*unit
}

// size is its number of containers.
func (c *cell) size() int {
	n := 0
	for _, u := range c.units {
		n += len(u.members)
	}
	return n
}

// collides says why a unit cannot be in the cell for its ports.
func (c *cell) collides(u *unit) (why string, ok bool) {
	for _, other := range c.units {
		if why, ok := u.collides(other); ok {
			return why, true
		}
	}
	return "", false
}

// remember notes where each unit was, unless two who may not share it claim the place: then the one with more
// containers has it.
func (p *partition) remember(before *pod.Spec) {
	was, modes, joined := map[string]string{}, map[string]pod.NetworkMode{}, map[string]string{}
	for _, c := range before.Containers {
		was[c.Name] = c.Cell
	}
	for _, c := range before.Cells {
		p.taken[c.Name], modes[c.Name], joined[c.Name] = true, c.Mode, c.Joined.Instance
	}
	claims := map[string]map[string]int{}
	for _, u := range p.units {
		u.before = was[u.members[0].Name]
		// To be the router is to be in the way of nobody.
		if u.before == pod.DefaultCell && (u.alone != "" || u.beside != "") || modes[u.before] != u.mode || joined[u.before] != u.members[0].Joined.Instance {
			u.before = ""
		}
		if claims[u.before] == nil {
			claims[u.before] = map[string]int{}
		}
		claims[u.before][u.claim()] += u.weight()
	}
	for _, u := range p.units {
		mine := claims[u.before][u.claim()]
		for claim, n := range claims[u.before] {
			if n > mine || n == mine && claim < u.claim() {
				u.before = ""
				break
			}
		}
	}
}

// fixed makes the cells that nobody else can be in.
func (p *partition) fixed() {
	shared := map[pod.NetworkMode]*cell{}
	for _, u := range p.units {
		switch {
		case u.mode != "" && u.mode != pod.NetworkNone:
			// The host's namespace, or that of a container outside the pod, is the same for all who ask for it.
			c := shared[u.mode]
			if c == nil {
				c = &cell{mode: u.mode, why: u.alone, name: u.before}
				shared[u.mode] = c
				p.cells = append(p.cells, c)
			}
			c.units = append(c.units, u)
		case u.alone != "":
			p.cells = append(p.cells, &cell{name: u.before, mode: u.mode, why: u.alone, class: u.class, units: []*unit{u}})
		}
	}
}

// classes are the sets of networks that units share a cell by: the largest first, then by name.
func (p *partition) classes() []string {
	size := map[string]int{}
	for _, u := range p.units {
		if u.free() {
			size[u.class] += len(u.members)
		}
	}
	var all []string
	for class := range size {
		all = append(all, class)
	}
	slices.SortFunc(all, func(a, b string) int { return cmp.Or(cmp.Compare(size[b], size[a]), cmp.Compare(a, b)) })
	return all
}

// colour divides the units of a class into as few cells as their ports allow, those that were in one before together.
func (p *partition) colour(class string) {
	var free []*unit
	for _, u := range p.units {
		if u.free() && u.class == class {
			free = append(free, u)
		}
	}
	var made []*cell
	keep := make([]int, len(free))
	for i := range free {
		keep[i] = -1
	}
	// Who could not bind a port makes way for those that run well.
	for _, i := range deniedLast(free) {
		u := free[i]
		if u.before == "" {
			continue
		}
		at := slices.IndexFunc(made, func(c *cell) bool { return c.name == u.before })
		if at < 0 {
			at = len(made)
			made = append(made, &cell{name: u.before, class: class})
		}
		if _, collides := made[at].collides(u); !collides {
			made[at].units = append(made[at].units, u)
			keep[i] = at
		}
	}
	colours := colour(conflicts(free), keep)
	for i, u := range free {
		for colours[i] >= len(made) {
			made = append(made, &cell{class: class})
		}
		if keep[i] < 0 {
			made[colours[i]].units = append(made[colours[i]].units, u)
		}
	}
	p.cells = append(p.cells, made...)
}

// deniedLast are the indices of units: first those that cannot be moved, last those that could not bind a port.
func deniedLast(units []*unit) []int {
	var first, next, last []int
	for i, u := range units {
		switch {
		case u.stays:
			first = append(first, i)
		case len(u.denied) > 0:
			last = append(last, i)
		default:
			next = append(next, i)
		}
	}
	return slices.Concat(first, next, last)
}

// choose names the cells that have no name yet. The first is the one that router finds.
func (p *partition) choose() {
	first := p.router()
	if first != nil {
		first.name = pod.DefaultCell
	}
	for i, c := range p.cells {
		if c == first {
			continue
		}
		if c.why == "" {
			c.why = p.why(i, first)
		}
		if c.name == "" {
			c.name = p.fresh(c.units[0].members[0].Name)
		}
	}
}

// published is its number of published ports.
func (c *cell) published() int {
	n := 0
	for _, u := range c.units {
		for _, m := range u.members {
			n += len(m.Ports)
		}
	}
	return n
}

// router is the cell that is the first: the one that was, else of the new ones that with the most published ports, for what comes
// to it from the host need not be sent on, then the largest; nil where there is none that could be, for to be the router is to
// be in the way of nobody.
func (p *partition) router() *cell {
	var best *cell
	for _, c := range p.cells {
		switch {
		case c.name == pod.DefaultCell:
			return c
		case c.name != "" || c.mode != "" || c.units[0].alone != "" || c.units[0].beside != "":
		case best == nil || cmp.Or(cmp.Compare(c.published(), best.published()), cmp.Compare(c.size(), best.size())) > 0:
			best = c
		}
	}
	return best
}

// why is why a cell is not the first one, or an earlier one of its class.
func (p *partition) why(i int, first *cell) string {
	c := p.cells[i]
	for _, e := range append([]*cell{first}, p.cells[:i]...) {
		if e == nil || e.class != c.class || e.units[0].alone != "" {
			continue
		}
		for _, u := range c.units {
			if why, ok := e.collides(u); ok {
				return why
			}
		}
	}
	if c.units[0].beside != "" {
		return c.units[0].beside
	}
	if first == nil || c.class == first.class {
		return "as before"
	}
	return whyClass(c.class, first.class)
}

// fresh is a name for a cell that is made for a container, which nothing else has.
func (p *partition) fresh(container string) string {
	container = strings.TrimSuffix(container, pod.SuccessorName("")) // it will have the name of the other
	name := container
	for n := 2; p.taken[name]; n++ {
		name = fmt.Sprintf("%s.%d", container, n)
	}
	p.taken[name] = true
	return name
}

// list is the cells, the first one first, the others by name.
func (p *partition) list() []pod.Cell {
	all := []pod.Cell{{Name: pod.DefaultCell, Resolver: true}}
	for _, c := range p.cells {
		resolver := c.mode == "" && !slices.ContainsFunc(c.units, (*unit).answersNames)
		var servers []string
		if resolver {
			servers = c.units[0].members[0].DNS.Servers
		}
		if c.name == pod.DefaultCell {
			all[0].Resolver, all[0].Servers = resolver, servers
		} else {
			all = append(all, pod.Cell{Name: c.name, Why: c.why, Mode: c.mode, Joined: c.units[0].members[0].Joined, Resolver: resolver, Servers: servers})
		}
	}
	slices.SortFunc(all[1:], func(a, b pod.Cell) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// members is the cell of each container; those that share whatever is promised are in none of them.
func (p *partition) members() map[string]string {
	in := map[string]string{}
	for _, c := range p.cells {
		for _, u := range c.units {
			for _, m := range u.members {
				in[m.Name] = c.name
			}
		}
	}
	return in
}
