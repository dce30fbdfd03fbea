package engine

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pcompose/pcompose/engine/state"
	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/logs"
)

// lastWords is how many of a container's last lines may say that it could not bind.
const lastWords = 20

// Denied finds the ports that containers could not bind since another of their cell had them. Both must be plain: a
// container that failed says that an address was in use, and another listens there now. Containers that run well are not
// looked at, so that nothing is paid for them.
func Denied(ctx context.Context, p *Project, observed pod.Status) ([]pod.Denial, error) {
	var listeners []pod.Listener
	var denied []pod.Denial
	for _, c := range observed.Containers {
		if !failing(c) || !accompanied(c, observed) {
			continue
		}
		said, err := inUse(ctx, p, c)
		if err != nil {
			return nil, err
		}
		if said == "" {
			continue
		}
		if listeners == nil {
			if listeners, err = Listeners(p, observed); err != nil {
				return nil, err
			}
		}
		for _, l := range meant(c, said, others(c, observed, listeners)) {
			denied = append(denied, pod.Denial{
				Container: c.Name, Service: c.Service, Listen: pod.Listen{Port: l.Port, Protocol: l.Protocol}, By: l.Container,
			})
		}
	}
	return pod.Denials(denied), nil
}

// RememberDenied writes down what Denied found, for the next plan: by then who has the port may not run. It needs the
// project's lock. Idempotent; a project that is not remembered stays so.
func RememberDenied(p *Project, denied []pod.Denial) error {
	remembered, err := p.engine.state.Load(p.name)
	if err != nil || remembered == nil || len(denied) == 0 {
		return err
	}
	return p.edit(func(s *state.Project) { s.Spec.Denied = pod.Denials(s.Spec.Denied, denied) })
}

// failing says whether a container does not run as it should.
func failing(c pod.ContainerStatus) bool {
	switch c.Run.State {
	case pod.StateExited:
		return c.Run.ExitCode != 0 && !c.OneOff
	case pod.StateRestarting:
		return true
	case pod.StateRunning:
		return c.Run.Restarts > 0 || c.Run.Health == pod.HealthUnhealthy
	}
	return false
}

// accompanied says whether another container runs in the cell.
func accompanied(c pod.ContainerStatus, observed pod.Status) bool {
	return slices.ContainsFunc(observed.Containers, func(o pod.ContainerStatus) bool {
		return o.Name != c.Name && o.Cell == c.Cell && o.Run.State.Alive()
	})
}

// others are the listeners of the other containers of a cell, those on loopback too: a bind to every address fails by them.
func others(c pod.ContainerStatus, observed pod.Status, all []pod.Listener) []pod.Listener {
	return slices.DeleteFunc(slices.Clone(all), func(l pod.Listener) bool {
		o, _ := observed.Container(l.Container)
		return l.Container == c.Name || o.Cell != c.Cell
	})
}

// inUse is what a container said, since its last start, of addresses that are in use; "" for nothing. The words are those
// of strerror(3), and of programs that have their own.
func inUse(ctx context.Context, p *Project, c pod.ContainerStatus) (string, error) {
	words := regexp.MustCompile(`(?i)addr(ess)?( is)?( already)? in use|eaddrinuse|port\D+\d+\D+(already )?in use`)
	var said strings.Builder
	err := logs.Read(ctx, p.engine.state.LogDir(p.name, c.ID), logs.ReadOptions{Tail: lastWords, Since: c.Run.StartedAt}, func(l logs.Line) error {
		if words.Match(l.Text) {
			said.Write(l.Text)
			said.WriteByte('\n')
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return said.String(), err
}

// meant are the listeners in the way of a container: those on a port that it names where it says so, else in its command
// or environment, else all that there are, for one of them it is.
func meant(c pod.ContainerStatus, said string, listeners []pod.Listener) []pod.Listener {
	own := append(slices.Clone(c.Argv), slices.Sorted(maps.Values(c.Env))...)
	for _, text := range []string{said, strings.Join(own, " ")} {
		named := map[string]bool{}
		for _, n := range regexp.MustCompile(`\d+`).FindAllString(text, -1) {
			named[n] = true
		}
		found := slices.DeleteFunc(slices.Clone(listeners), func(l pod.Listener) bool { return !named[strconv.Itoa(int(l.Port))] })
		if len(found) > 0 {
			return found
		}
	}
	return listeners
}
