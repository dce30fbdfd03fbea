package desired

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/pcompose/pcompose/compose"
	"github.com/pcompose/pcompose/pod"
)

// listens are the ports a service declares: expose, and the targets of ports; sorted, each once.
func (t *translation) listens(s types.ServiceConfig) []pod.Listen {
	var out []pod.Listen
	for _, p := range s.Ports {
		out = append(out, pod.Listen{Port: uint16(p.Target), Protocol: p.Protocol})
	}
	for _, e := range s.Expose {
		port, protocol, _ := strings.Cut(e, "/")
		if protocol == "" {
			protocol = pod.TCP
		}
		from, to, ok := span(port)
		if !ok {
			t.problem(s, "expose", "", "%q is no port", e)
			continue
		}
		for n := from; n <= to; n++ {
			out = append(out, pod.Listen{Port: uint16(n), Protocol: protocol})
		}
	}
	slices.SortFunc(out, func(a, b pod.Listen) int {
		return cmp.Or(cmp.Compare(a.Port, b.Port), cmp.Compare(a.Protocol, b.Protocol))
	})
	return slices.Compact(out)
}

// span reads a port or a range of ports.
func span(s string) (from, to uint64, ok bool) {
	low, high, isRange := strings.Cut(s, "-")
	from, err := strconv.ParseUint(low, 10, 16)
	if to = from; isRange && err == nil {
		to, err = strconv.ParseUint(high, 10, 16)
	}
	return from, to, err == nil && from <= to
}

// ports are the published ports of one replica. A range of host ports for one container port gives each replica one of it;
// a single one is in front of all of them. In no network, or the host's, there is nothing to publish: load.Unsupported warns.
func (t *translation) ports(s types.ServiceConfig, container string, replica, replicas int) []pod.Port {
	if s.NetworkMode == "none" || s.NetworkMode == "host" {
		return nil
	}
	var out []pod.Port
	for _, p := range s.Ports {
		port := pod.Port{Container: container, HostIP: p.HostIP, ContainerPort: uint16(p.Target), Protocol: p.Protocol}
		if p.Published != "" {
			from, to, ok := span(p.Published)
			count := int(to-from) + 1
			switch {
			case !ok:
				t.published(s, p, "", fmt.Sprintf("%q is no host port", p.Published))
				continue
			case from == 0:
			case count == 1:
				port.HostPort = uint16(from)
			case replicas > count:
				if replica == 1 {
					t.published(s, p, fmt.Sprintf("publish a range of %d ports, or leave the host port out", replicas),
						fmt.Sprintf("%d replicas cannot all publish the host port %s/%s", replicas, p.Published, p.Protocol))
				}
				continue
			default:
				if port.HostPort = t.fromRange(port, from, to); port.HostPort == 0 {
					t.published(s, p, "publish a wider range", fmt.Sprintf("all host ports of %s/%s are published by others of the file", p.Published, p.Protocol))
					continue
				}
			}
		}
		out = append(out, port)
	}
	return out
}

// fromRange is the first of a range of host ports that nobody of the project publishes: neither alone, nor as one of a
// range of its own; 0 for none.
func (t *translation) fromRange(p pod.Port, from, to uint64) uint16 {
	for n := from; n <= to; n++ {
		p.HostPort = uint16(n)
		if !slices.ContainsFunc(t.ranged, p.Collides) && !slices.ContainsFunc(t.alone(), p.Collides) {
			t.ranged = append(t.ranged, p)
			return p.HostPort
		}
	}
	return 0
}

// alone are the host ports that services of the pod publish, and that are no range.
func (t *translation) alone() []pod.Port {
	var all []pod.Port
	for _, name := range t.wanted {
		for _, p := range t.project.Model.Services[name].Ports {
			if from, to, ok := span(p.Published); ok && from == to {
				all = append(all, pod.Port{HostIP: p.HostIP, HostPort: uint16(from), Protocol: p.Protocol})
			}
		}
	}
	return all
}

// published is a problem at a published port.
func (t *translation) published(s types.ServiceConfig, p types.ServicePortConfig, hint, message string) {
	t.problems = append(t.problems, compose.Problem{At: t.project.AtPort(s.Name, p), Path: "services." + s.Name + ".ports", Message: message, Hint: hint})
}
