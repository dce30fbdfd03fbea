package planner

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/pcompose/pcompose/pod"
)

// unknownServices refuses names that the file does not have.
func (ch *choice) unknownServices() error {
	var errs []error
	for _, s := range ch.opt.Services {
		if !ch.desired.Has(s) && !slices.ContainsFunc(ch.observed.Containers, func(c pod.ContainerStatus) bool { return c.Service == s }) {
			errs = append(errs, fmt.Errorf("no service named %q", s))
		}
	}
	return errors.Join(errs...)
}

// lacking refuses containers that the machine cannot make, before anything is done for the others.
func lacking(ch *choice) error {
	var errs []error
	for _, name := range ch.names {
		if why := ch.observed.Lacking[name]; why != "" && ch.fates[name].created() {
			errs = append(errs, fmt.Errorf("cannot create container %q: %s", name, why))
		}
	}
	return errors.Join(errs...)
}

// cannotStart refuses to begin what this machine cannot carry out.
func (ch *choice) cannotStart() error {
	if ch.observed.NoRuntime == "" || ch.observed.Up || ch.opt.CreateOnly {
		return nil
	}
	return errors.New(ch.observed.NoRuntime)
}

// portsTaken refuses host ports that somebody else listens on, or a container that the plan leaves alone.
func (ch *choice) portsTaken() error {
	var errs []error
	staying := ch.staying()
	for _, name := range ch.names {
		for _, p := range ch.fates[name].want.Ports {
			for _, c := range staying {
				if slices.ContainsFunc(c.Ports, func(o pod.Port) bool { return overlap(o, p) }) {
					errs = append(errs, fmt.Errorf("cannot publish port %d/%s of service %q: %s publishes it%s", p.HostPort, p.Protocol, ch.fates[name].want.Service, c.Name, ch.remedy(c)))
				}
			}
			i := slices.IndexFunc(ch.observed.Taken, func(t pod.TakenPort) bool { return takes(t, p) })
			if i < 0 {
				continue
			}
			how := ": publish another host port"
			if t := ch.observed.Taken[i]; t.Owner != "" {
				how = fmt.Sprintf(" by %s: stop it, or publish another host port", t.Owner)
			}
			errs = append(errs, fmt.Errorf("cannot publish port %d/%s of service %q: address already in use%s", p.HostPort, p.Protocol, ch.fates[name].want.Service, how))
		}
	}
	return errors.Join(errs...)
}

func takes(t pod.TakenPort, p pod.Port) bool {
	return overlap(pod.Port{HostIP: t.HostIP, HostPort: t.HostPort, Protocol: t.Protocol}, p)
}

// overlap says whether two host ports cannot both be bound; those left to the kernel always can.
func overlap(a, b pod.Port) bool {
	return a.HostPort != 0 && a.HostPort == b.HostPort && a.Protocol == b.Protocol &&
		(a.HostIP == b.HostIP || a.HostIP == "" || b.HostIP == "")
}

// staying are the living containers that the file does not have and the plan leaves alone: orphans, and those of
// `run`.
func (ch *choice) staying() []pod.ContainerStatus {
	return slices.DeleteFunc(slices.Clone(ch.observed.Containers), func(c pod.ContainerStatus) bool {
		_, wanted := ch.desired.Container(c.Name)
		return wanted || !c.Run.State.Alive() || ch.whyLeave(c) != ""
	})
}

// remedy is what the user can do about a container that stays.
func (ch *choice) remedy(c pod.ContainerStatus) string {
	if ch.orphan(c) {
		return fmt.Sprintf(": the file has no service %s, --remove-orphans removes it", c.Service)
	}
	return ""
}

// listens are the ports a container declares: in the file, and in its image unless the file names any.
func (ch *choice) listens(c pod.Container) []pod.Listen {
	if len(c.Listens) > 0 {
		return c.Listens
	}
	return ch.observed.Images[c.Image].Listens
}

// samePorts says whether the published ports are already as wanted; a host port left to the kernel is met by any
// that no other is.
func samePorts(want, have []pod.Port) bool {
	if len(want) != len(have) {
		return false
	}
	rest := slices.Clone(have)
	chosenLast := slices.Clone(want)
	slices.SortStableFunc(chosenLast, func(a, b pod.Port) int { return cmp.Compare(min(b.HostPort, 1), min(a.HostPort, 1)) })
	for _, w := range chosenLast {
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
