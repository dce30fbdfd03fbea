package planner

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/pcompose/pcompose/pod"
)

// chooseHostPorts gives each port with a range one host port of it. What a container has, it keeps while it may: a choice is
// made once. Else it is the first that nobody has, as observed: neither another of the file, nor what stays of the pod, nor
// anybody else on the host. The containers get ports of their own.
func chooseHostPorts(ch *choice, containers []*pod.Container) {
	var ranged []*pod.Port
	var used []pod.Port
	for _, c := range ch.desired.Containers {
		used = append(used, slices.DeleteFunc(slices.Clone(c.Ports), func(p pod.Port) bool { return p.Last != 0 })...)
	}
	for _, c := range containers {
		c.Ports = slices.Clone(c.Ports)
		for i := range c.Ports {
			if c.Ports[i].Last != 0 {
				ranged = append(ranged, &c.Ports[i])
			}
		}
	}
	if len(ranged) == 0 {
		return
	}
	r := rangeChoice{ch, used, ch.staying()}
	for _, p := range ranged {
		r.keep(p)
	}
	for _, p := range ranged {
		if p.Last != 0 {
			r.take(p)
		}
	}
}

// inTurn are containers in the order in which they choose: by service, the oldest replica first.
func inTurn(containers []pod.Container) []*pod.Container {
	var all []*pod.Container
	for i := range containers {
		all = append(all, &containers[i])
	}
	slices.SortStableFunc(all, func(a, b *pod.Container) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Replica, b.Replica))
	})
	return all
}

// rangeChoice chooses host ports of ranges.
type rangeChoice struct {
	*choice
	// used are the ports that are given, and staying the containers that the plan leaves alone.
	used    []pod.Port
	staying []pod.ContainerStatus
}

// keep gives a port the host port that its container has of the range.
func (r *rangeChoice) keep(p *pod.Port) {
	have, _ := r.observed.Container(p.Container)
	for _, o := range slices.Concat(r.observed.Ports, have.Ports) {
		if !p.Allows(o.HostPort) {
			continue
		}
		if chosen := choose(*p, o.HostPort); chosen == o && r.holder(chosen) == "" {
			*p, r.used = chosen, append(r.used, chosen)
			return
		}
	}
}

// take gives a port the first host port of the range that nobody has.
func (r *rangeChoice) take(p *pod.Port) {
	var held []holding
	strangers := 0
	for n := int(p.HostPort); n <= int(p.Last); n++ {
		chosen := choose(*p, uint16(n))
		who := r.holder(chosen)
		if who != "" {
			held = append(held, holding{chosen.HostPort, who})
			if slices.ContainsFunc(r.observed.Taken, func(t pod.TakenPort) bool { return takes(t, chosen) }) {
				strangers++
			}
			continue
		}
		if strangers > 0 {
			r.past = append(r.past, rangeReason{p.Container, fmt.Sprintf("%s gets %d of %s, since taken are %s", p.Container, n, p.HostPorts(), holdings(held))})
		}
		*p, r.used = chosen, append(r.used, chosen)
		return
	}
	r.exhausted = append(r.exhausted, exhaustion{*p, "all are taken, " + holdings(held)})
}

// rangeReason is why a container gets another host port than the first of a range.
type rangeReason struct{ container, why string }

// exhaustion is a range without a free port, and who has them.
type exhaustion struct {
	port pod.Port
	by   string
}

// choose is a port with one host port of its range.
func choose(p pod.Port, host uint16) pod.Port {
	p.HostPort, p.Last = host, 0
	return p
}

// holder is who has a host port; "" for nobody.
func (r *rangeChoice) holder(p pod.Port) string {
	if i := slices.IndexFunc(r.used, p.Collides); i >= 0 {
		return r.used[i].Container
	}
	for _, o := range r.staying {
		if slices.ContainsFunc(o.Ports, p.Collides) {
			return o.Name
		}
	}
	if service, ok := r.declaredOnHost(p); ok {
		return fmt.Sprintf("service %q, whose network_mode is host", service)
	}
	if i := slices.IndexFunc(r.observed.Taken, func(t pod.TakenPort) bool { return takes(t, p) }); i >= 0 {
		return cmp.Or(r.observed.Taken[i].Owner, "another process")
	}
	return ""
}

// holding is a host port that somebody has.
type holding struct {
	port uint16
	by   string
}

// holdings says who has which ports, the first ones of many.
func holdings(all []holding) string {
	const enough = 6
	var parts []string
	for i, h := range all {
		if i == enough && len(all) > enough+1 {
			parts = append(parts, fmt.Sprintf("and %d more", len(all)-i))
			break
		}
		parts = append(parts, fmt.Sprintf("%d by %s", h.port, h.by))
	}
	return strings.Join(parts, ", ")
}

// whyPublish is why ports are published, with the reasons of what was chosen of ranges.
func whyPublish(ch *choice, why string) string {
	for _, r := range ch.past {
		if ch.fates[r.container] != nil {
			why += "; " + r.why
		}
	}
	return why
}
