package planner

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pcompose/pcompose/pod"
)

// Recreate says which containers Up replaces.
type Recreate int

const (
	// RecreateChanged replaces a container whose definition or image changed.
	RecreateChanged Recreate = iota
	// RecreateAll replaces every one, RecreateNone none.
	RecreateAll
	RecreateNone
)

// UpOptions are what `up`, `create`, `start` and `scale` differ in.
type UpOptions struct {
	// Services limits the plan to these and what they depend on; nil is all.
	Services []string
	// OnlyNamed leaves out what Services depend on.
	OnlyNamed bool
	// CreateOnly starts nothing.
	CreateOnly bool
	Recreate   Recreate
	// Restart stops what runs of the selected containers and starts them all.
	Restart bool
	// ForceDependencies replaces what the services named depend on, whatever Recreate says of the named.
	ForceDependencies bool
	// RenewAnonymous gives replaced containers new anonymous volumes.
	RenewAnonymous bool
	RemoveOrphans  bool
	// Wait ends the plan with a wait for every container to be ready.
	Wait bool
	// Grace overrides the time each container has to stop.
	Grace *time.Duration
}

// Up plans the steps that make the observed pod the desired one. It fails, before anything is done, where the
// pod could not work: a host port taken, two containers listening on one port, an image that cannot be had.
func Up(desired pod.Spec, observed pod.Status, opt UpOptions) (*Plan, error) {
	return newUp(desired, observed, opt).make()
}

func (u *up) make() (*Plan, error) {
	if err := errors.Join(u.unknownServices(), u.portsTaken(), u.listenersCollide(), u.cannotStart()); err != nil {
		return nil, err
	}
	u.chooseFates()
	if err := errors.Join(u.pullImages(), u.createVolumes()); err != nil {
		return nil, err
	}
	u.sandbox()
	u.stopReplaced()
	u.removeOrphans()
	u.createContainers()
	u.updateContainers()
	if !u.opt.CreateOnly {
		u.startContainers()
	}
	return u.plan, nil
}

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
}

// created says whether the plan makes the container.
func (f *fate) created() bool { return !f.exists || f.replace != "" }

// stopped says whether the plan stops a living container.
func (f *fate) stopped() bool {
	return f.exists && f.have.Run.State.Alive() && (f.replace != "" || f.bounce != "")
}

// up is a plan of Up in the making.
type up struct {
	desired  pod.Spec
	observed pod.Status
	opt      UpOptions
	plan     *Plan
	// asFound says that desired is what was observed, so that nothing is an orphan or a replica too many.
	asFound bool
	// fates are those of the selected containers, by name; names is their order.
	fates map[string]*fate
	names []string
	// services are those selected, some of which may have no container.
	services map[string]bool
	// The steps made so far, by image, volume or container; 0 for none.
	made, stoppedBy, removedBy, createdBy, updatedBy, startedBy map[string]int
	waits                                                       map[pod.Dependency]map[string]int
	// pulls are all pulls: nothing is made before every image is there, so that a missing one leaves nothing.
	pulls []int
	// portsDone is the step that makes the network, or changes its ports.
	portsDone int
}

func newUp(desired pod.Spec, observed pod.Status, opt UpOptions) *up {
	u := &up{
		desired: desired, observed: observed, opt: opt,
		plan:  &Plan{Project: desired.Name},
		fates: map[string]*fate{}, made: map[string]int{}, stoppedBy: map[string]int{},
		removedBy: map[string]int{}, createdBy: map[string]int{}, updatedBy: map[string]int{}, startedBy: map[string]int{},
		waits: map[pod.Dependency]map[string]int{}, services: map[string]bool{},
	}
	for _, s := range desired.Idle {
		u.services[s] = opt.Services == nil || slices.Contains(opt.Services, s)
	}
	for _, c := range selected(desired.Containers, opt.Services, opt.OnlyNamed) {
		have, exists := observed.Container(c.Name)
		u.fates[c.Name] = &fate{want: c, have: have, exists: exists}
		u.names, u.services[c.Service] = append(u.names, c.Name), true
	}
	return u
}

// chooseFates decides for every container whether it is kept, updated, replaced or started, and why.
func (u *up) chooseFates() {
	for _, name := range u.names {
		f := u.fates[name]
		switch {
		case !f.exists:
		case u.forced(f.want.Service):
			f.replace = "forced"
		default:
			f.replace = whyReplace(f.want, f.have, u.observed.Images)
			if u.opt.Recreate == RecreateNone && f.have.Run.State != pod.StatePartial {
				f.replace, f.want = "", keep(f.want, f.have.Container)
			}
		}
		switch {
		case f.created():
			f.start = "created"
		case u.opt.Restart:
			f.bounce, f.start = "asked to restart", "asked to restart"
		default:
			_, f.updated = differences(f.want, f.have.Container)
			f.start = whyStart(f.have.Run)
		}
	}
	for changed := true; changed; {
		changed = u.bounceDependents()
	}
}

// forced says whether the user wants a service's containers replaced whatever they are.
func (u *up) forced(service string) bool {
	if u.opt.Services == nil || slices.Contains(u.opt.Services, service) {
		return u.opt.Recreate == RecreateAll
	}
	return u.opt.ForceDependencies
}

// bounceDependents marks living containers that must restart because a dependency does, those of services that
// were not named too, as they are; it says whether it found one, since each may have dependents of its own.
func (u *up) bounceDependents() bool {
	found := false
	for _, c := range u.observed.Containers {
		f := u.fates[c.Name]
		if f == nil && (u.opt.OnlyNamed || c.OneOff || u.whyLeave(c) != "") {
			continue
		}
		if f == nil {
			f = &fate{want: c.Container, have: c, exists: true}
		}
		if f.created() || f.bounce != "" || !c.Run.State.Alive() {
			continue
		}
		if on := u.restarted(f.want.After); on != "" {
			f.bounce = fmt.Sprintf("%s restarts, and depends_on says restart: true", on)
			f.start, found = f.bounce, true
			if u.fates[c.Name] == nil {
				u.fates[c.Name], u.names = f, append(u.names, c.Name)
			}
		}
	}
	return found
}

// restarted is a container that is replaced or restarted, of those a container says to restart with; "" for none.
func (u *up) restarted(after []pod.Dependency) string {
	for _, d := range after {
		for _, on := range u.replicas(d.On) {
			if f := u.fates[on]; d.Restart && f != nil && f.exists && (f.replace != "" || f.bounce != "") {
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
func (u *up) replicas(service string) []string {
	var names []string
	for _, c := range u.desired.Containers {
		if c.Service == service {
			names = append(names, c.Name)
		}
	}
	return names
}

// grace is the time a container has to stop.
func (u *up) grace(s pod.Stop) time.Duration { return graceOr(u.opt.Grace, s) }

func graceOr(override *time.Duration, s pod.Stop) time.Duration {
	if override != nil {
		return *override
	}
	return s.GraceOrDefault()
}

// selected are the containers of the named services and, unless only those are wanted, of what they wait for.
func selected(all []pod.Container, services []string, only bool) []pod.Container {
	if services == nil {
		return all
	}
	want := map[string]bool{}
	for queue := slices.Clone(services); len(queue) > 0; queue = queue[1:] {
		if want[queue[0]] {
			continue
		}
		want[queue[0]] = true
		for _, c := range all {
			if c.Service != queue[0] || only {
				continue
			}
			for _, d := range c.After {
				queue = append(queue, d.On)
			}
		}
	}
	var some []pod.Container
	for _, c := range all {
		if want[c.Service] {
			some = append(some, c)
		}
	}
	return some
}
