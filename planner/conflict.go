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

// PortTaken is the error of Up about a host port that cannot be published.
type PortTaken struct {
	Service string
	Port    pod.Port
	// By is who has it, and Fix what to do about it; either may be "".
	By, Fix string
}

// Error says who has the port, and what to do.
func (e *PortTaken) Error() string {
	text := fmt.Sprintf("cannot publish port %s/%s of service %q: ", e.Port.HostPorts(), e.Port.Protocol, e.Service)
	if e.By == "" {
		text += "address already in use"
	} else {
		text += e.By
	}
	if e.Fix != "" {
		text += ": " + e.Fix
	}
	return text
}

// portsTaken refuses host ports that somebody else listens on, a container that the plan leaves alone publishes, or one
// in the host's own network declares. The error joins a *PortTaken for each.
func (ch *choice) portsTaken() error {
	var errs []error
	seen := map[PortTaken]bool{}
	refuse := func(c pod.Container, p pod.Port, by, fix string) {
		e := PortTaken{Service: c.Service, Port: p, By: by, Fix: fix}
		e.Port.Container = "" // replicas may be behind one host port
		if !seen[e] {
			seen[e] = true
			errs = append(errs, &e)
		}
	}
	staying := ch.staying()
	for _, name := range ch.names {
		c := ch.fates[name].want
		for _, p := range c.Ports {
			if p.Last != 0 {
				continue // refused below
			}
			for _, o := range staying {
				if slices.ContainsFunc(o.Ports, p.Collides) {
					refuse(c, p, o.Name+" publishes it", ch.remedy(o))
				}
			}
			if o, declares := ch.declaredOnHost(p); declares {
				refuse(c, p, fmt.Sprintf("service %q, whose network_mode is host, declares it", o), "publish another host port")
			}
			if i := slices.IndexFunc(ch.observed.Taken, func(t pod.TakenPort) bool { return takes(t, p) }); i >= 0 {
				by, fix := told(ch.observed.Taken[i])
				refuse(c, p, by, fix)
			}
		}
	}
	for _, e := range ch.exhausted {
		if f := ch.fates[e.port.Container]; f != nil {
			refuse(f.want, e.port, e.by, "publish a wider range")
		}
	}
	return errors.Join(errs...)
}

// declaredOnHost finds the service that runs in the host's network and declares a port that is to be published.
func (ch *choice) declaredOnHost(p pod.Port) (service string, ok bool) {
	for _, c := range ch.desired.Containers {
		on := func(l pod.Listen) bool { return p.Collides(pod.Port{HostPort: l.Port, Protocol: l.Protocol}) }
		if c.NetworkMode == pod.NetworkHost && slices.ContainsFunc(c.Listens, on) {
			return c.Service, true
		}
	}
	return "", false
}

// told is who has a host port, and what to do about it, in words.
func told(t pod.TakenPort) (by, fix string) {
	by, fix = "address already in use", "publish another host port"
	if t.Free != 0 {
		fix += fmt.Sprintf(", %d is free", t.Free)
	}
	if t.Owner == "" {
		return by, fix
	}
	stop := "stop it"
	if t.Stop != "" {
		stop += fmt.Sprintf(" (%s)", t.Stop)
	}
	return by + " by " + t.Owner, stop + ", or " + fix
}

func takes(t pod.TakenPort, p pod.Port) bool {
	return p.Collides(pod.Port{HostIP: t.HostIP, HostPort: t.HostPort, Protocol: t.Protocol})
}

// staying are the living containers that the file does not have and the plan leaves alone: orphans, and those of
// `run`.
func (ch *choice) staying() []pod.ContainerStatus {
	return slices.DeleteFunc(slices.Clone(ch.observed.Containers), func(c pod.ContainerStatus) bool {
		_, wanted := ch.desired.Container(c.Name)
		return wanted || succeeds(ch, c) || !c.Run.State.Alive() || ch.whyLeave(c) != ""
	})
}

// remedy is what the user can do about a container that stays.
func (ch *choice) remedy(c pod.ContainerStatus) string {
	if ch.orphan(c) {
		return fmt.Sprintf("the file has no service %s, --remove-orphans removes it", c.Service)
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
