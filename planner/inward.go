package planner

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pcompose/pcompose/pod"
)

// discardPorts leaves out the published ports of containers whose networks are all internal: nothing comes in there from
// outside, as in docker. It notes those of which the file alone does not say so: a network is somebody else's, or the port that
// of one container.
func discardPorts(ch *choice, containers []*pod.Container, file pod.Spec) {
	for _, c := range containers {
		if !c.Inward(ch.networks) {
			continue
		}
		for _, p := range c.Ports {
			n := discarded(ch, *c, p)
			if !(c.Inward(file.Networks) && declares(file, c.Service, p)) && !slices.Contains(ch.notes, n) {
				ch.notes = append(ch.notes, n)
			}
		}
		c.Ports = nil
	}
}

// declares says whether the file publishes a port of a service.
func declares(file pod.Spec, service string, p pod.Port) bool {
	for _, c := range file.Containers {
		p.Container = c.Name
		if c.Service == service && slices.Contains(c.Ports, p) {
			return true
		}
	}
	return false
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

func note(ch *choice, format string, args ...any) {
	ch.notes = append(ch.notes, Note{Text: fmt.Sprintf(format, args...)})
}
