package planner

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pcompose/pcompose/pod"
)

// turn says how a container is replaced.
type turn int

const (
	// atOnce stops it with all others that are replaced.
	atOnce turn = iota
	// stopFirst stops it when it is its turn among the replicas, startFirst when its successor is ready.
	stopFirst
	startFirst
)

// rollout is a plan in the making as far as it replaces containers by turns (deploy.update_config).
type rollout struct{ *up }

// lookup is how long somebody may take to connect to an address that was looked up. Answers may not be kept (their time to
// live is 0), so it is what passes between two system calls of a client on a busy machine. Many servers refuse connections
// as soon as they are told to end.
const lookup = 250 * time.Millisecond

// turns are the replacements of one service.
type turns struct {
	// before are the last steps of those that the newest ones wait for, current those of the newest.
	before, current []int
	// names are the containers of current.
	names []string
}

// choose decides who is replaced by turns. It says whether somebody was found whose successor needs a cell beside its
// own: then cells and fates are to be chosen again.
func (u rollout) choose() (more bool) {
	if u.opt.CreateOnly || u.asFound {
		return false
	}
	for _, name := range slices.Clone(u.names) {
		f := u.fates[name]
		if f.want.Update == nil || f.want.OneOff || f.turn == startFirst {
			continue
		}
		if f.turn = u.turn(f); f.turn == startFirst {
			f.start, f.bounce, f.updated, more = "created", "", nil, true
		}
	}
	if more {
		// Those that only restart with another are found again.
		u.names = slices.DeleteFunc(u.names, func(name string) bool { return u.fates[name].follows })
		for name, f := range u.fates {
			if f.follows {
				delete(u.fates, name)
			}
		}
	}
	return more
}

// turn is how a container of a service with update_config is replaced.
func (u rollout) turn(f *fate) turn {
	f.heir = u.heir(f)
	runs := f.exists && f.have.Run.State.Alive()
	switch {
	case !f.created() || !runs && f.heir == nil:
		return atOnce
	case f.want.Update.StartFirst:
		why := u.whyNotAhead(f)
		if why == "" {
			return startFirst
		}
		note := Note{Text: fmt.Sprintf("container %s is stopped before its successor starts, whatever update_config says: %s", f.want.Name, why)}
		if !slices.Contains(u.plan.Notes, note) {
			u.plan.Notes = append(u.plan.Notes, note)
		}
	}
	if !runs || f.want.Cell != f.have.Cell || onRecreated(u.choice, f) != "" || u.taker(f) != "" {
		return atOnce
	}
	return stopFirst
}

// heir is the successor that a plan cut off has left, where it can still take the container's place; nil for none.
func (u rollout) heir(f *fate) *pod.ContainerStatus {
	c, ok := u.observed.Container(pod.SuccessorName(f.want.Name))
	if !ok || c.Succeeds != f.want.Name || !c.Run.State.Alive() || c.Run.Health == pod.HealthUnhealthy {
		return nil
	}
	want := f.want.Successor()
	want.Cell = c.Cell
	if replaced, _ := differences(want, c.Container); len(replaced) > 0 || whyReplace(want, c, u.observed.Images) != "" {
		return nil
	}
	return &c
}

// succeeds says whether a container is the successor that the plan goes on with.
func succeeds(ch *choice, c pod.ContainerStatus) bool {
	f := ch.fates[c.Succeeds]
	return f != nil && f.turn == startFirst && f.heir != nil && f.heir.ID == c.ID
}

// whyNotAhead says why a container and its successor cannot both run; "" where they can.
func (u rollout) whyNotAhead(f *fate) string {
	c := f.want
	if why := onRecreated(u.choice, f); why != "" {
		return why
	}
	if c.NetworkMode != "" || f.have.NetworkMode != "" {
		return fmt.Sprintf("network_mode is %s, and both would have the same ports", cmp.Or(c.NetworkMode, f.have.NetworkMode))
	}
	if c.Sharing == pod.SharingShared {
		return "x-pcompose puts both into the same network"
	}
	for _, a := range slices.Concat(c.Networks, f.have.Networks) {
		for _, fixed := range append([]string{a.IPv4, a.IPv6, a.MAC}, a.LinkLocal...) {
			if fixed != "" {
				return fmt.Sprintf("both would be %s on network %s", fixed, a.Network)
			}
		}
	}
	for _, name := range []string{pod.SuccessorName(c.Name), pod.PredecessorName(c.Name)} {
		if _, wanted := u.desired.Container(name); wanted {
			return fmt.Sprintf("the file gives the name %s to another container", name)
		}
	}
	if taker := u.taker(f); taker != "" {
		return fmt.Sprintf("%s has its volumes", taker)
	}
	if other := u.joined(c.Name); other != "" {
		return fmt.Sprintf("%s shares its namespaces", other)
	}
	return ""
}

// taker is a container that has the volumes of another; "" for none.
func (u rollout) taker(f *fate) string {
	for _, name := range u.names {
		if takesFrom(u.fates[name].want, f.want.Name) {
			return name
		}
	}
	for _, c := range u.observed.Containers {
		if c.Hook == "" && takesFrom(c.Container, f.want.Name) {
			return c.Name
		}
	}
	return ""
}

// joined is a container that is in a namespace of another; "" for none.
func (u rollout) joined(name string) string {
	joins := func(c pod.Container) bool {
		iso := c.Isolation
		return c.NetworkMode == pod.NetworkOf+pod.NetworkMode(name) || slices.Contains([]pod.Namespace{iso.PID, iso.IPC, iso.UTS}, pod.InContainer(name))
	}
	for _, other := range u.names {
		if joins(u.fates[other].want) {
			return other
		}
	}
	for _, c := range u.observed.Containers {
		if joins(c.Container) {
			return c.Name
		}
	}
	return ""
}

// ports are those of a container and its successor while both run. A host port that the kernel chose stays the same.
func (u rollout) ports(f *fate) []pod.Port {
	ports := f.want.Successor().Ports
	for i := range ports {
		p := &ports[i]
		for _, o := range u.observed.Ports {
			same := (o.Container == f.want.Name || o.Container == p.Container) && o.ContainerPort == p.ContainerPort && o.Protocol == p.Protocol && o.HostIP == p.HostIP
			if p.HostPort == 0 && same {
				p.HostPort = o.HostPort
			}
		}
	}
	if !f.exists || !f.have.Run.State.Alive() || f.have.Inward(u.networks) {
		return ports
	}
	for _, p := range f.have.Ports {
		if i := slices.IndexFunc(u.observed.Ports, func(o pod.Port) bool { return p.HostPort == 0 && sameButHost(o, p) }); i >= 0 {
			p.HostPort = u.observed.Ports[i].HostPort
		}
		ports = append(ports, p)
	}
	return ports
}

// sameButHost compares ports, the host's aside.
func sameButHost(a, b pod.Port) bool {
	a.HostPort = b.HostPort
	return a == b
}

// ahead replaces a container by a successor that starts first. Its name goes over as soon as that is ready: what is
// asked for by the name is answered all the time.
func (u rollout) ahead(f *fate) {
	name, heir := f.want.Name, f.want.Successor()
	gate, first := u.gate(f.want), len(u.plan.Steps)+1
	var started int
	if f.heir == nil {
		heir.Cell = f.want.Cell
		action := CreateContainer{Container: heir}
		if f.exists && !u.opt.RenewAnonymous {
			action.Shares = name
		}
		u.createdBy[heir.Name] = create(u.up, f, action)
		started = start(u.up, f, heir, u.createdBy[heir.Name])
	} else if from, why := (&fate{want: heir, have: *f.heir, exists: true}).hooksLeft(); why != "" {
		started = u.plan.postStart(heir, from, why)
	}
	wait := WaitContainer{Name: heir.Name, Until: pod.UntilReady, Required: true, Steady: f.want.Update.Monitor}
	ready := u.plan.add(wait, "it takes the place of "+name, started, u.portsDone)
	rename := RenameContainer{Name: heir.Name, To: name}
	if f.exists {
		rename.Was = pod.PredecessorName(name)
	}
	last := u.plan.add(rename, "it is ready", ready, u.removedBy[rename.Was])
	u.startedBy[name] = last
	if f.exists {
		have := f.have
		have.Name = rename.Was
		if have.Run.State.Alive() {
			stays := WaitContainer{Name: name, Until: pod.UntilReady, Required: true, Steady: lookup}
			last = u.plan.add(stays, "who has just looked up "+name+" may still connect to "+have.Name, last)
			last = u.plan.stop(have, u.grace(have.Stop), name+" has taken its place", last)
			u.stoppedBy[name] = last
		}
		// What of its volumes the successor has stays.
		last = u.plan.add(RemoveContainer{Name: have.Name, Volumes: true}, name+" has taken its place", last)
		if u.opt.RenewAnonymous && len(have.Anonymous) > 0 {
			u.plan.loses("the data in the anonymous volumes of " + name)
		}
		u.removedBy[name] = last
	}
	u.pass(f.want, first, gate, last)
}

// inPlace replaces a container when the turn is its.
func (u rollout) inPlace(f *fate) {
	name := f.want.Name
	gate, first := u.gate(f.want), len(u.plan.Steps)+1
	u.stoppedBy[name] = u.plan.stop(f.have, u.grace(f.have.Stop), f.replace, append(u.dependentsStopped(name), u.prepared(f)...)...)
	u.removedBy[name] = u.plan.remove(f.have, u.opt.RenewAnonymous, f.replace, u.stoppedBy[name])
	u.createdBy[name] = create(u.up, f, CreateContainer{Container: f.want})
	u.startedBy[name] = start(u.up, f, f.want, u.createdBy[name])
	wait := WaitContainer{Name: name, Until: pod.UntilReady, Required: true, Steady: f.want.Update.Monitor}
	u.pass(f.want, first, gate, u.plan.add(wait, "its replacement is done when it is ready", u.startedBy[name]))
}

// gate is what the next replacement of a service waits for.
func (u rollout) gate(c pod.Container) []int {
	t := u.turns[c.Service]
	if t == nil {
		t = &turns{}
		u.turns[c.Service] = t
	}
	if c.Update.Parallelism > 0 && len(t.current) == c.Update.Parallelism {
		t.before = t.current
		if c.Update.Delay > 0 {
			t.before = nil
			for i, name := range t.names {
				wait := WaitContainer{Name: name, Until: pod.UntilReady, Required: true, Steady: c.Update.Delay}
				t.before = append(t.before, u.plan.add(wait, "the next is replaced after that", t.current[i]))
			}
		}
		t.current, t.names = nil, nil
	}
	return t.before
}

// pass notes a replacement, from its first step to its last, and makes it wait for its turn.
func (u rollout) pass(c pod.Container, first int, gate []int, last int) {
	s := &u.plan.Steps[first-1]
	if c.Update.OnFailure == pod.FailureContinue {
		s.Past = unique(append(s.Past, gate...))
	} else {
		s.After = unique(append(s.After, gate...))
	}
	t := u.turns[c.Service]
	t.current, t.names = append(t.current, last), append(t.names, c.Name)
}

// rolls says whether a container is replaced by one that starts first.
func (u rollout) rolls() bool { return u.during.Cells != nil && !u.opt.CreateOnly }

// unpublish leaves the ports published that are wanted when all who were replaced have gone.
func (u rollout) unpublish() {
	if !u.rolls() {
		return
	}
	var after []int
	for _, name := range u.names {
		if u.fates[name].turn == startFirst {
			after = append(after, u.startedBy[name], u.removedBy[name])
		}
	}
	meanwhile := u.published(true)
	if ports := u.published(false); !samePorts(ports, meanwhile) {
		u.portsDone = u.plan.add(PublishPorts{Name: u.desired.Name, Ports: ports}, "who was replaced has gone", append(after, u.portsDone)...)
	}
}

// pod is the pod while containers and their successors both run; nil where it is never so.
func (u rollout) pod() *pod.Spec {
	if !u.rolls() {
		return nil
	}
	p := u.desired
	p.Cells, p.Networks, p.Containers = u.during.Cells, u.during.Networks, nil
	cell := map[string]string{}
	for _, c := range u.during.Containers {
		cell[c.Name] = c.Cell
	}
	for _, c := range u.desired.Containers {
		f := u.fates[c.Name]
		if f == nil || f.turn != startFirst {
			p.Containers = append(p.Containers, c)
			continue
		}
		if f.exists {
			p.Containers = append(p.Containers, f.have.Container)
		}
		heir := f.want.Successor()
		heir.Cell = cell[heir.Name]
		p.Containers = append(p.Containers, heir)
	}
	slices.SortFunc(p.Containers, func(a, b pod.Container) int { return strings.Compare(a.Name, b.Name) })
	return &p
}

// undone are the successors that a failed plan has left and that are to go with it.
func undone(now pod.Status) []pod.ContainerStatus {
	return slices.DeleteFunc(slices.Clone(now.Containers), func(c pod.ContainerStatus) bool {
		_, there := now.Container(c.Succeeds)
		return c.Succeeds == "" || !there || c.Update == nil || c.Update.OnFailure != pod.FailureRollback
	})
}

// rollback plans the end of successors that did not take their places.
func rollback(now pod.Status, leave []pod.ContainerStatus) *Plan {
	plan := &Plan{Project: now.Name}
	end := &teardown{plan: plan, observed: now, grace: new(time.Duration), why: "its replacement is rolled back", stopped: map[string]int{}}
	chosen := func(c pod.ContainerStatus) bool {
		return slices.ContainsFunc(leave, func(l pod.ContainerStatus) bool { return l.ID == c.ID })
	}
	removed := end.remove(chosen, true)
	end.publishRest(slices.DeleteFunc(slices.Clone(now.Containers), chosen), removed)
	return plan
}
