package planner

import (
	"fmt"
	"slices"

	"github.com/pcompose/pcompose/pod"
)

// fate is what becomes of one container.
type fate struct {
	want pod.Container
	have pod.ContainerStatus
	// exists says whether have was observed.
	exists bool
	// replace, start say why it is made anew or started; "" for no.
	replace string
	start   string
	// bounce says why it is stopped and started as it is: a dependency with restart: true was replaced.
	bounce string
	// updated names what changes of it without a new container.
	updated []string
	// turn says that it is replaced in its service's turn, heir what there is of its successor already.
	turn turn
	heir *pod.ContainerStatus
	// follows marks one that nobody named: it restarts with what it depends on.
	follows bool
}

// created says whether the plan makes the container.
func (f *fate) created() bool { return !f.exists || f.replace != "" }

// stopped says whether the plan stops a living container.
func (f *fate) stopped() bool {
	return f.exists && f.have.Run.State.Alive() && (f.replace != "" || f.bounce != "")
}

// hooksLeft is the first post_start hook that a container that stays as it runs still lacks, and why; "" for none. Those
// of a start that was interrupted, or that failed, are such.
func (f *fate) hooksLeft() (from int, why string) {
	if f.have.Run.State != pod.StateRunning || f.have.Run.PostStarted >= len(f.want.PostStart) {
		return 0, ""
	}
	return f.have.Run.PostStarted, "has not ended well since the start"
}

// choice is what becomes of every container, before any step is made.
type choice struct {
	desired  pod.Spec
	observed pod.Status
	opt      UpOptions
	// asFound says that desired is what was observed, so that nothing is an orphan or a replica too many.
	asFound bool
	// fates are those of the selected containers, by name; names is their order.
	fates map[string]*fate
	names []string
	// topology is the pod's network as planned, with those that the plan leaves alone.
	topology pod.Topology
	// networks are the desired ones as the file has them, or as others do whose they are; strange is what is wrong with those.
	networks []pod.Network
	strange  error
	// during is what it is while containers and their successors both run.
	during pod.Spec
	// services are those selected, some of which may have no container.
	services map[string]bool
	// notes are for the plan.
	notes []Note
	// past are the reasons of host ports that were chosen past those of others, exhausted are ranges of which none is free.
	past      []rangeReason
	exhausted []exhaustion
}

func newChoice(desired pod.Spec, observed pod.Status, opt UpOptions) *choice {
	desired, notes := provided(desired, observed)
	ch := &choice{desired: desired, observed: observed, opt: opt, asFound: opt.asFound, networks: desired.Networks, fates: map[string]*fate{}, services: map[string]bool{}}
	for _, text := range notes {
		ch.notes = append(ch.notes, Note{Text: text})
	}
	ch.strange = division{ch}.join()
	for _, s := range desired.Idle {
		ch.services[s] = opt.Services == nil || slices.Contains(opt.Services, s)
	}
	want := selected(desired, opt.Services, opt.OnlyNamed)
	for _, p := range desired.Providers {
		ch.services[p.Service] = want(p.Service)
	}
	for _, c := range desired.Containers {
		if !want(c.Service) {
			continue
		}
		for i, file := range c.Files {
			if file.External != "" {
				c.Files = slices.Clone(c.Files)
				c.Files[i].Digest = observed.Secrets[file.External]
			}
		}
		have, exists := observed.Container(c.Name)
		ch.fates[c.Name] = &fate{want: c, have: have, exists: exists}
		ch.names, ch.services[c.Service] = append(ch.names, c.Name), true
	}
	ch.desired.Containers = slices.Clone(ch.desired.Containers)
	all := inTurn(ch.desired.Containers)
	discardPorts(ch, all, desired)
	chooseHostPorts(ch, all)
	for _, c := range ch.desired.Containers {
		if f := ch.fates[c.Name]; f != nil {
			f.want.Ports = c.Ports
		}
	}
	return ch
}

// chooseFates decides for every container whether it is kept, updated, replaced or started, and why.
func (ch *choice) chooseFates() {
	for _, name := range ch.names {
		f := ch.fates[name]
		if f.turn == startFirst {
			continue // that was decided for good
		}
		f.replace, f.bounce, f.start, f.updated = "", "", "", nil
		switch {
		case !f.exists:
		case onRecreated(ch, f) != "":
			f.replace = onRecreated(ch, f)
		case ch.forced(f.want.Service):
			f.replace = "forced"
		default:
			if f.replace = whyReplace(f.want, f.have, ch.observed.Images); f.replace != "" {
				f.replace += whyMoved(ch, f)
			}
			if ch.opt.Recreate == RecreateNone && f.have.Run.State != pod.StatePartial {
				f.replace, f.want = "", keep(f.want, f.have.Container)
			}
		}
		switch {
		case f.created():
			f.start = "created"
		case ch.opt.Restart:
			f.bounce, f.start = "asked to restart", "asked to restart"
		default:
			_, f.updated = differences(f.want, f.have.Container)
			f.start = whyStart(f.have.Run)
		}
	}
	for changed := true; changed; {
		changed = ch.replaceTakers() || ch.bounceDependents()
	}
}

// replaceTakers replaces the containers that have the volumes of one that is replaced: those may be others then. It
// says whether it found one.
func (ch *choice) replaceTakers() bool {
	found := false
	for _, name := range ch.names {
		f := ch.fates[name]
		if f.created() || ch.opt.Recreate == RecreateNone {
			continue
		}
		for _, from := range f.want.VolumesFrom {
			if giver := ch.fates[from.Container]; giver != nil && giver.replace != "" {
				f.replace = fmt.Sprintf("has the volumes of %s, which is replaced", from.Container)
				f.start, f.bounce, f.updated, found = "created", "", nil, true
				break
			}
		}
	}
	return found
}

// forced says whether the user wants a service's containers replaced whatever they are.
func (ch *choice) forced(service string) bool {
	if ch.opt.Services == nil || slices.Contains(ch.opt.Services, service) {
		return ch.opt.Recreate == RecreateAll
	}
	return ch.opt.ForceDependencies
}

// bounceDependents marks living containers that must restart because a dependency does, those of services that
// were not named too, as they are; it says whether it found one, since each may have dependents of its own.
func (ch *choice) bounceDependents() bool {
	found := false
	for _, c := range ch.observed.Containers {
		f := ch.fates[c.Name]
		if f == nil && (ch.opt.OnlyNamed && !ch.opt.Dependents || c.OneOff || ch.whyLeave(c) != "") {
			continue
		}
		if f == nil {
			f = &fate{want: c.Container, have: c, exists: true, follows: true}
		}
		if f.created() || f.bounce != "" || !c.Run.State.Alive() {
			continue
		}
		if on := ch.restarted(f.want.After); on != "" {
			f.bounce = fmt.Sprintf("%s restarts, and %s", on, whyWith(f.want.Isolation, on))
			f.start, found = f.bounce, true
			if ch.fates[c.Name] == nil {
				ch.fates[c.Name], ch.names = f, append(ch.names, c.Name)
			}
		}
	}
	return found
}

// whyWith says why a container restarts with another: the namespaces they share are gone, or the file wants it.
func whyWith(iso pod.Isolation, other string) string {
	for _, n := range []struct {
		key string
		in  pod.Namespace
	}{{"pid", iso.PID}, {"ipc", iso.IPC}, {"uts", iso.UTS}} {
		if n.in == pod.InContainer(other) {
			return n.key + ": shares its namespace"
		}
	}
	return "depends_on says restart: true"
}

// restarted is a container that is replaced or restarted, of those a container says to restart with; "" for none.
func (ch *choice) restarted(after []pod.Dependency) string {
	for _, d := range after {
		for _, on := range ch.replicas(d.On) {
			if f := ch.fates[on]; d.Restart && f != nil && f.exists && (f.replace != "" || f.bounce != "") {
				return on
			}
		}
	}
	return ""
}

// whyStart says why a container that exists is started, "" when it runs.
func whyStart(run pod.Run) string {
	switch {
	case run.State.Alive():
		return ""
	case run.State == pod.StateCreated:
		return "not started yet"
	case run.ExitCode == pod.UnknownExit:
		return "not running"
	}
	return fmt.Sprintf("not running, exited with %d", run.ExitCode)
}

// replicas are the names of a service's containers among the desired ones.
func (ch *choice) replicas(service string) []string {
	var names []string
	for _, c := range ch.desired.Containers {
		if c.Service == service {
			names = append(names, c.Name)
		}
	}
	return names
}

// selected tells the named services and, unless only those are wanted, what they wait for; nil names all.
func selected(desired pod.Spec, services []string, only bool) func(service string) bool {
	if services == nil {
		return func(string) bool { return true }
	}
	want := map[string]bool{}
	for queue := slices.Clone(services); len(queue) > 0; queue = queue[1:] {
		if want[queue[0]] {
			continue
		}
		want[queue[0]] = true
		if !only {
			queue = append(queue, waitsFor(desired, queue[0])...)
		}
	}
	return func(service string) bool { return want[service] }
}

// waitsFor are the services that a service waits for.
func waitsFor(desired pod.Spec, service string) []string {
	var on []string
	for _, c := range desired.Containers {
		for _, d := range c.After {
			if c.Service == service {
				on = append(on, d.On)
			}
		}
	}
	for _, p := range desired.Providers {
		if p.Service == service {
			on = append(on, p.After...)
		}
	}
	return on
}

// orphan says whether a container is of a service that the file does not have.
func (ch *choice) orphan(c pod.ContainerStatus) bool {
	return !c.OneOff && !ch.asFound && !ch.desired.Has(c.Service)
}

// surplus says whether a container is a replica more than its service, of those planned, should have.
func (ch *choice) surplus(c pod.ContainerStatus) bool {
	return !c.OneOff && !ch.asFound && ch.fates[c.Name] == nil && ch.services[c.Service] && !succeeds(ch, c)
}

// whyLeave says why a container that is not wanted is removed, "" to leave it alone.
func (ch *choice) whyLeave(c pod.ContainerStatus) string {
	switch {
	case c.Leaving && ch.surplus(c):
		return "its successor has taken its place"
	case c.Succeeds != "" && ch.surplus(c):
		return "it is no successor of " + c.Succeeds + " any more"
	case ch.surplus(c):
		return fmt.Sprintf("service %s has fewer replicas now, or another container_name", c.Service)
	case ch.orphan(c) && ch.opt.RemoveOrphans:
		return fmt.Sprintf("the file has no service %s", c.Service)
	}
	return ""
}
