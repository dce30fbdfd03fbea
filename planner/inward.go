package planner

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pcompose/pcompose/pod"
)

// discardPorts leaves out the published ports of containers whose networks are all internal: nothing comes in there from
// outside, as in docker. It notes those of which the file alone does not say so, since a network is somebody else's.
func discardPorts(ch *choice, containers []*pod.Container) {
	for _, c := range containers {
		if !c.Inward(ch.networks) {
			continue
		}
		for _, p := range c.Ports {
			n := discarded(ch, *c, p)
			if !c.Inward(ch.desired.Networks) && !slices.Contains(ch.notes, n) {
				ch.notes = append(ch.notes, n)
			}
		}
		c.Ports = nil
	}
}

// discarded is a note of a port that is not published; that of all replicas is the same.
func discarded(ch *choice, c pod.Container, p pod.Port) Note {
	var names []string
	for _, a := range c.Networks {
		i := slices.IndexFunc(ch.networks, func(n pod.Network) bool { return n.Key == a.Network })
		names = append(names, ch.networks[i].Name)
	}
	p.Container = ""
	text := fmt.Sprintf("the published port %d/%s of service %s is discarded: all networks of the service are internal (%s), and nothing comes in there from outside; add a network that is not to publish it",
		p.ContainerPort, p.Protocol, c.Service, strings.Join(names, ", "))
	return Note{Text: text, Service: c.Service, Port: p}
}

func (ch *choice) note(format string, args ...any) {
	ch.notes = append(ch.notes, Note{Text: fmt.Sprintf(format, args...)})
}
