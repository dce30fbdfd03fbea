package planner

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pcompose/pcompose/pod"
)

// unknownServices refuses names that the file does not have.
func (u *up) unknownServices() error {
	var errs []error
	for _, s := range u.opt.Services {
		if len(u.replicas(s)) == 0 && !slices.ContainsFunc(u.observed.Containers, func(c pod.ContainerStatus) bool { return c.Service == s }) {
			errs = append(errs, fmt.Errorf("no service named %q", s))
		}
	}
	return errors.Join(errs...)
}

// portsTaken refuses host ports that somebody else listens on.
func (u *up) portsTaken() error {
	var errs []error
	for _, name := range u.names {
		for _, p := range u.fates[name].want.Ports {
			i := slices.IndexFunc(u.observed.Taken, func(t pod.TakenPort) bool { return takes(t, p) })
			if i < 0 {
				continue
			}
			owner := ""
			if t := u.observed.Taken[i]; t.Owner != "" {
				owner = " by " + t.Owner
			}
			errs = append(errs, fmt.Errorf("cannot publish port %d/%s of service %q: address already in use%s: stop it, or publish another host port", p.HostPort, p.Protocol, u.fates[name].want.Service, owner))
		}
	}
	return errors.Join(errs...)
}

func takes(t pod.TakenPort, p pod.Port) bool {
	return t.HostPort == p.HostPort && t.Protocol == p.Protocol && (t.HostIP == p.HostIP || t.HostIP == "" || p.HostIP == "")
}

// listenersCollide refuses two containers of one cell that declare one port, in the file or in their image:
// the second could not bind it.
func (u *up) listenersCollide() error {
	type at struct {
		cell string
		pod.Listen
	}
	first := map[at]string{}
	var errs []error
	for _, c := range u.desired.Containers {
		for _, l := range u.listens(c) {
			key := at{c.Cell, l}
			if other, taken := first[key]; taken {
				errs = append(errs, fmt.Errorf("cannot run %s and %s in one pod: both listen on port %d/%s, and the containers of a pod share one network: let one of them listen on another port", other, c.Name, l.Port, l.Protocol))
				continue
			}
			first[key] = c.Name
		}
	}
	return errors.Join(errs...)
}

// listens are the ports a container declares: in the file, and in its image unless the file names any.
func (u *up) listens(c pod.Container) []pod.Listen {
	all := slices.Clone(c.Listens)
	if len(all) == 0 {
		all = slices.Clone(u.observed.Images[c.Image].Listens)
	}
	slices.SortFunc(all, func(a, b pod.Listen) int {
		if a.Port != b.Port {
			return int(a.Port) - int(b.Port)
		}
		return strings.Compare(a.Protocol, b.Protocol)
	})
	return slices.Compact(all)
}

// samePorts says whether the published ports are already as wanted; a host port left to the kernel is met by any.
func samePorts(want, have []pod.Port) bool {
	if len(want) != len(have) {
		return false
	}
	rest := slices.Clone(have)
	for _, w := range want {
		i := slices.IndexFunc(rest, func(h pod.Port) bool {
			if w.HostPort == 0 {
				h.HostPort = 0
			}
			return h == w
		})
		if i < 0 {
			return false
		}
		rest = slices.Delete(rest, i, i+1)
	}
	return true
}
