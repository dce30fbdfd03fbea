package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/pcompose/pcompose/pod"
)

// has says whether the pod has a service.
func has(spec pod.Spec, service string) bool {
	return slices.ContainsFunc(spec.Containers, func(c pod.Container) bool { return c.Service == service })
}

// withDependencies are services and all they depend on, however far.
func withDependencies(spec pod.Spec, services []string) []string {
	all := slices.Clone(services)
	for i := 0; i < len(all); i++ {
		for _, c := range spec.Containers {
			if c.Service != all[i] {
				continue
			}
			for _, d := range c.After {
				if !slices.Contains(all, d.On) {
					all = append(all, d.On)
				}
			}
		}
		for _, p := range spec.Providers {
			if p.Service == all[i] {
				all = append(all, slices.DeleteFunc(slices.Clone(p.After), func(s string) bool { return slices.Contains(all, s) })...)
			}
		}
	}
	return all
}

// errNotPulled refuses a container whose image may not be pulled.
func errNotPulled(c pod.Container) error {
	return fmt.Errorf("cannot create container %q: image %q is not in the store and --pull is never", c.Name, c.Image)
}

// isTrue reads a boolean of the environment as docker compose does.
func isTrue(value string) bool {
	switch value {
	case "1", "t", "T", "true", "TRUE", "True", "y", "yes", "on":
		return true
	}
	return false
}

// sayRunning tells which containers run already, where up had nothing to do.
func (r runner) sayRunning(ctx context.Context, spec pod.Spec, services []string) {
	observed, err := r.e.Observe(ctx, spec.Name, nil)
	if err != nil {
		return
	}
	for _, c := range chosen(observed, services) {
		if c.Run.State.Alive() {
			r.env.ui.Say(" Container %s  Running", c.Name)
		}
	}
}

// published lists a container's published ports, for a message.
func published(ports []pod.Port, container string) string {
	var list []string
	for _, p := range ports {
		if p.Container == container {
			list = append(list, p.String())
		}
	}
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}
