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

// ports are the published ports of one replica. A range of host ports for one container port gives each replica one of it, which
// the planner chooses; a single one is in front of all of them. In no network, or the host's, there is nothing to publish: load.Unsupported
// warns. Nor is there where all networks are internal, which the planner knows.
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
			case replicas > count && !compose.Inward(t.project.Model, s):
				if replica == 1 {
					t.published(s, p, fmt.Sprintf("publish a range of %d ports, or leave the host port out", replicas),
						fmt.Sprintf("%d replicas cannot all publish the host port %s/%s", replicas, p.Published, p.Protocol))
				}
				continue
			default:
				port.HostPort, port.Last = uint16(from), uint16(to)
			}
		}
		out = append(out, port)
	}
	return out
}

// published is a problem at a published port.
func (t *translation) published(s types.ServiceConfig, p types.ServicePortConfig, hint, message string) {
	t.problems = append(t.problems, compose.Problem{At: t.project.AtPort(s.Name, p), Path: "services." + s.Name + ".ports", Message: message, Hint: hint})
}
