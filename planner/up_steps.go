package planner

import (
	"errors"
	"fmt"
	"slices"

	"github.com/pcompose/pcompose/pod"
)

// pullImages adds a pull for every image that a container to be made needs and the store lacks; a pre_start hook's container
// is made at each start.
func (u *up) pullImages() error {
	var errs []error
	seen := map[string]bool{}
	for _, name := range u.names {
		f := u.fates[name]
		for _, c := range append([]pod.Container{f.want}, f.want.PreStart...) {
			if !f.created() && (c.Hook == "" || f.start == "" || u.opt.CreateOnly || u.asFound) {
				continue
			}
			c.PreStart = nil
			for _, image := range c.Images() {
				build, isBuilt := u.desired.BuildOf(image)
				if _, have := u.observed.Images[image]; have || seen[image] || isBuilt && u.built[build.Image()] != 0 {
					continue
				}
				seen[image] = true
				pull, err := pullFor(u, c, image)
				if err != nil {
					errs = append(errs, err)
					continue
				}
				u.pulls = append(u.pulls, u.plan.add(pull.Action, pull.Why))
			}
		}
	}
	return errors.Join(errs...)
}

// pullFor is the pull of an image that a container needs and the store lacks, or why its policy has none.
func pullFor(u *up, c pod.Container, image string) (Step, error) {
	build, isBuilt := u.desired.BuildOf(image)
	switch {
	case isBuilt && u.opt.Build == BuildNone && !build.Registry(image):
		return Step{}, fmt.Errorf("cannot create container %q: image %q is not in the store, and nothing is to be built: leave --no-build out", c.Name, image)
	case image != c.Image:
		return Step{Action: PullImage{Image: image}, Why: fmt.Sprintf("not in the store, and service %s mounts it", c.Service)}, nil
	case c.Pull == pod.PullNever:
		return Step{}, fmt.Errorf("cannot create container %q: image %q is not in the store and its pull policy is never", c.Name, image)
	case c.Pull == pod.PullBuild:
		return Step{}, fmt.Errorf("cannot create container %q: image %q is not in the store and its pull policy is build, but service %q has no build section", c.Name, image, c.Service)
	case c.Hook != "":
		return Step{Action: PullImage{Image: image, Platform: c.Platform}, Why: fmt.Sprintf("not in the store, and a pre_start hook of service %s runs it", c.Service)}, nil
	}
	return Step{Action: PullImage{Image: image, Platform: c.Platform}, Why: "not in the store"}, nil
}

// createVolumes adds the named volumes that the selected containers mount and that do not exist.
func (u *up) createVolumes() {
	used := map[string]string{}
	for _, name := range u.names {
		mounts := slices.Clone(u.fates[name].want.Mounts)
		for _, h := range u.fates[name].want.PreStart {
			mounts = append(mounts, h.Mounts...)
		}
		for _, m := range mounts {
			if m.Type == pod.MountVolume && used[m.Source] == "" {
				used[m.Source] = name
			}
		}
	}
	for _, v := range u.desired.Volumes {
		if (used[v.Name] != "" || u.opt.AllVolumes) && !v.External && !slices.Contains(u.observed.Volumes, v.Name) {
			u.made[v.Name] = u.plan.add(CreateVolume{v}, "does not exist", u.pulls...)
		}
	}
}

// sandbox adds the pod's namespaces, or the change of its cells and published ports.
func (u *up) sandbox() {
	ports := u.published(true)
	if !u.observed.Up {
		if !u.opt.CreateOnly && len(u.names) > 0 {
			u.portsDone = u.plan.add(CreateSandbox{Name: u.desired.Name, Topology: u.topology, Ports: ports}, whyPublish(u.choice, "not running"), u.pulls...)
		}
		return
	}
	if u.opt.CreateOnly {
		return
	}
	c := connection{u}
	if meanwhile := c.meanwhile(); !sameTopology(meanwhile, u.observed.Topology) {
		u.portsDone = c.connect(u.observed.Topology, meanwhile, "the network is divided otherwise", u.pulls...)
	}
	if !samePorts(ports, u.observed.Ports) {
		u.portsDone = u.plan.add(PublishPorts{Name: u.desired.Name, Ports: ports}, whyPublish(u.choice, "published ports changed"), append(u.pulls, u.portsDone)...)
	}
}

// published are the ports the pod should have after the plan: those of the selected containers, and of the
// living ones that the plan does not touch; or before any container is stopped.
func (u *up) published(before bool) []pod.Port {
	var ports []pod.Port
	for _, name := range u.names {
		f := u.fates[name]
		if f.turn == startFirst && before {
			ports = append(ports, rollout{u}.ports(f)...)
			continue
		}
		ports = append(ports, f.want.Ports...)
	}
	for _, c := range u.observed.Containers {
		if u.fates[c.Name] == nil && !succeeds(u.choice, c) && c.Run.State.Alive() && u.whyLeave(c) == "" && !c.Inward(u.networks) {
			ports = append(ports, c.Ports...)
		}
	}
	return ports
}

// stopReplaced stops and removes the containers that are replaced, in reverse order of their dependencies, and
// stops those that restart with what they depend on.
func (u *up) stopReplaced() {
	for _, name := range reverseOrder(u.observed.Containers) {
		f := u.fates[name]
		if f == nil || !f.exists || f.turn != atOnce {
			continue
		}
		if f.stopped() {
			why := f.bounce
			if f.replace != "" {
				why = f.replace
			}
			after := append(u.dependentsStopped(name), u.prepared(f)...)
			u.stoppedBy[name] = u.plan.stop(f.have, u.grace(f.have.Stop), why, after...)
		}
		if f.replace != "" {
			after := append(u.takersRemoved(name), append(u.prepared(f), u.stoppedBy[name])...)
			u.removedBy[name] = u.plan.remove(f.have, u.opt.RenewAnonymous, f.replace, after...)
		}
	}
}

// prepared are the steps that must succeed before anything is taken away for a container: what its
// replacement needs.
func (u *up) prepared(f *fate) []int { return append(u.ingredients(f), u.portsDone) }

// ingredients are the steps that make what a container is made of. The pod's network is not among them: it is
// made meanwhile.
func (u *up) ingredients(f *fate) []int {
	steps := slices.Clone(u.pulls)
	for _, m := range f.want.Mounts {
		if m.Type == pod.MountVolume {
			steps = append(steps, u.made[m.Source])
		}
	}
	for _, d := range f.want.After {
		steps = append(steps, u.provided[d.On])
	}
	return steps
}

// dependentsStopped are the stops of the containers that depend on this one.
func (u *up) dependentsStopped(name string) []int {
	have, _ := u.observed.Container(name)
	var after []int
	for _, c := range u.observed.Containers {
		if dependsOn(c.Container, have.Service) {
			after = append(after, u.stoppedBy[c.Name])
		}
	}
	return after
}

// takersRemoved are the removals, made before, of the containers that have this one's volumes: the last one to have
// an anonymous volume takes it along.
func (u *up) takersRemoved(name string) []int {
	var after []int
	for _, c := range u.observed.Containers {
		if takesFrom(c.Container, name) {
			after = append(after, u.removedBy[c.Name])
		}
	}
	return after
}

// removeOrphans removes surplus replicas, and orphans where asked to; else it notes them. An image that cannot be had leaves
// them as they are too.
func (u *up) removeOrphans() {
	for _, name := range reverseOrder(u.observed.Containers) {
		c, _ := u.observed.Container(name)
		why := u.whyLeave(c)
		if why == "" {
			if u.orphan(c) && !u.opt.IgnoreOrphans {
				u.plan.note("container %s is of service %s, which the file does not have: --remove-orphans removes it", c.Name, c.Service)
			}
			continue
		}
		if c.Run.State.Alive() {
			u.stoppedBy[name] = u.plan.stop(c, u.grace(c.Stop), why, append(u.dependentsStopped(name), u.pulls...)...)
		}
		after := append(u.takersRemoved(name), append(slices.Clone(u.pulls), u.stoppedBy[name])...)
		u.removedBy[name] = u.plan.remove(c, true, why, after...)
		if c.Leaving || c.Succeeds != "" { // another has its volumes too
			u.plan.loses("")
		}
	}
}

// cleared are the stops of containers that leave, for good or for another cell, and have what a container needs: their
// service's place, or a port in its cell.
func (u *up) cleared(want pod.Container) []int {
	var steps []int
	for _, c := range u.observed.Containers {
		if f := u.fates[c.Name]; u.stoppedBy[c.Name] == 0 || c.Name == want.Name || f != nil && f.want.Cell == c.Cell {
			continue
		}
		listens := u.listens(want)
		shared := func(l pod.Listen) bool { return c.Cell == want.Cell && slices.Contains(listens, l) }
		leaves := u.fates[c.Name] == nil
		if leaves && c.Service == want.Service || slices.ContainsFunc(u.listens(c.Container), shared) {
			steps = append(steps, u.stoppedBy[c.Name])
		}
	}
	return steps
}

// createContainers adds the containers that do not exist or are replaced.
func (u *up) createContainers() {
	for _, name := range givingOrder(u.choice) {
		f := u.fates[name]
		if !f.created() || f.turn != atOnce {
			continue
		}
		u.createdBy[name] = create(u, f, CreateContainer{Container: f.want})
	}
}

// create adds the creation of a container, after what it is made of and the removal of one of its name.
func create(u *up, f *fate, a CreateContainer) int {
	why := "does not exist"
	if f.replace != "" {
		why = f.replace
	}
	after := append(u.ingredients(f), u.removedBy[a.Container.Name], u.removedBy[pod.PredecessorName(a.Container.Name)])
	for _, from := range f.want.VolumesFrom {
		after = append(after, u.createdBy[from.Container])
	}
	return u.plan.add(a, why, after...)
}

func (u *up) updateContainers() {
	for _, name := range u.names {
		if f := u.fates[name]; len(f.updated) > 0 {
			u.updatedBy[name] = u.plan.add(UpdateContainer{Container: f.want, Changed: f.updated}, "changed, and needs no new container", u.portsDone)
		}
	}
}

// startContainers adds the starts, each after the waits that its dependencies ask for.
func (u *up) startContainers() {
	wants := make([]pod.Container, len(u.names))
	for i, name := range u.names {
		wants[i] = u.fates[name].want
	}
	for _, name := range startOrder(wants) {
		switch f := u.fates[name]; f.turn {
		case startFirst:
			rollout{u}.ahead(f)
		case stopFirst:
			rollout{u}.inPlace(f)
		case atOnce:
			startContainer(u, f)
		}
	}
	if u.opt.Wait {
		for _, name := range u.names {
			if !u.awaited(name) {
				u.await(name, pod.Dependency{On: u.fates[name].want.Service, Until: pod.UntilReady, Required: true})
			}
		}
	}
}

// startContainer adds the start of a container, or what an earlier one still lacks.
func startContainer(u *up, f *fate) {
	name := f.want.Name
	if f.start != "" {
		u.startedBy[name] = start(u, f, f.want, u.createdBy[name], u.updatedBy[name], u.stoppedBy[name])
	} else if from, why := f.hooksLeft(); why != "" {
		u.startedBy[name] = u.plan.postStart(f.want, from, why, u.updatedBy[name])
	}
}

// start adds the start of a container behind steps and what it depends on, with its hooks, and returns the last of it.
func start(u *up, f *fate, c pod.Container, behind ...int) int {
	after := append(slices.Concat(u.cleared(c), behind), u.portsDone)
	var past []int
	for _, d := range c.After {
		after = append(after, u.provided[d.On])
		for _, on := range u.replicas(d.On) {
			switch {
			case u.fates[on] == nil: // --no-deps waits for none
			case d.Required:
				after = append(after, u.await(on, d))
			default:
				past = append(past, u.await(on, d))
			}
		}
	}
	after = append(after, preStart(u, f, after, past))
	started := u.plan.add(StartContainer{Name: c.Name, Restart: u.opt.Restart}, f.start, after...)
	u.plan.past(past...)
	return max(started, u.plan.postStart(c, 0, f.start, started))
}

// await is the step after which a container has come as far as a dependency asks; 0 where it has already.
func (u *up) await(name string, d pod.Dependency) int {
	started, updated := u.startedBy[name], u.updatedBy[name]
	if d.Until == pod.UntilStarted {
		return started
	}
	if started+updated == 0 && reached(u.observed, name, d.Until) {
		return 0
	}
	d.Restart = false // does not change what is waited for
	if u.waits[d] == nil {
		u.waits[d] = map[string]int{}
	}
	if u.waits[d][name] == 0 {
		action := WaitContainer{Name: name, Until: d.Until, Required: d.Required}
		u.waits[d][name] = u.plan.add(action, whyWait(d), started, updated)
	}
	return u.waits[d][name]
}

// awaited says whether a step waits for a container already, for more than its start.
func (u *up) awaited(name string) bool {
	for d, steps := range u.waits {
		if d.Required && steps[name] != 0 {
			return true
		}
	}
	return false
}

func whyWait(d pod.Dependency) string {
	if d.Until == pod.UntilReady {
		return "asked to wait"
	}
	return fmt.Sprintf("dependents need %s to be %s", d.On, d.Until)
}

// reached says whether a container that the plan does not start has come as far already.
func reached(observed pod.Status, name string, until pod.Until) bool {
	have, ok := observed.Container(name)
	if !ok {
		return false
	}
	run := have.Run
	exitedWell := run.State == pod.StateExited && run.ExitCode == 0
	switch until {
	case pod.UntilHealthy:
		return run.State == pod.StateRunning && run.Health == pod.HealthHealthy
	case pod.UntilCompleted:
		return exitedWell
	case pod.UntilReady:
		return exitedWell || run.State == pod.StateRunning && (run.Health == "" || run.Health == pod.HealthHealthy)
	}
	return run.State.Alive()
}
