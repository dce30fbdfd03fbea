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

// ports are the published ports of one replica. A range of host ports for one container port gives each replica one of it.
func (t *translation) ports(s types.ServiceConfig, container string, replica, replicas int) []pod.Port {
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
			case replicas > count:
				if replica == 1 {
					t.published(s, p, fmt.Sprintf("publish a range of %d ports, or leave the host port out", replicas),
						fmt.Sprintf("%d replicas cannot all publish the host port %s/%s", replicas, p.Published, p.Protocol))
				}
				continue
			default:
				port.HostPort = uint16(from) + uint16(replica-1)
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

// apart finds replicas that would listen on one port of the one network they share.
func (t *translation) apart(s types.ServiceConfig, replicas int, listens []pod.Listen) {
	if replicas < 2 || len(listens) == 0 {
		return
	}
	at, path := t.listenPlace(s, listens[0])
	t.problems = append(t.problems, compose.Problem{At: at, Path: path,
		Message: fmt.Sprintf("%d replicas cannot all listen on port %d/%s: the services of a project share one network for now", replicas, listens[0].Port, listens[0].Protocol),
		Hint:    "run one replica"})
}

// cell finds services that declare one port, which they cannot both have in the one network they share.
func (t *translation) cell(containers []pod.Container) {
	owner := map[pod.Listen]string{}
	for _, c := range containers {
		for _, l := range c.Listens {
			other, taken := owner[l]
			if !taken {
				owner[l] = c.Service
				continue
			}
			if other == c.Service || c.Replica > 1 {
				continue
			}
			at, path := t.listenPlace(t.project.Model.Services[c.Service], l)
			first, _ := t.listenPlace(t.project.Model.Services[other], l)
			t.problems = append(t.problems, compose.Problem{At: at, Path: path,
				Message: fmt.Sprintf("port %d/%s is also that of service %q at %s: the services of a project share one network for now", l.Port, l.Protocol, other, first),
				Hint:    "let one of them listen on another port"})
		}
	}
}

// listenPlace is where a service declares a port.
func (t *translation) listenPlace(s types.ServiceConfig, l pod.Listen) (compose.Position, string) {
	base := "services." + s.Name
	for _, p := range s.Ports {
		if uint16(p.Target) == l.Port && p.Protocol == l.Protocol {
			return t.project.AtPort(s.Name, p), base + ".ports"
		}
	}
	for _, e := range s.Expose {
		port, _, _ := strings.Cut(e, "/")
		if from, to, ok := span(port); ok && from <= uint64(l.Port) && uint64(l.Port) <= to {
			return t.project.At(base + ".expose." + e), base + ".expose"
		}
	}
	return t.project.At(base), base
}
