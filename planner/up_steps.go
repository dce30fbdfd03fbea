package planner

import (
	"errors"
	"fmt"
	"slices"

	"github.com/pcompose/pcompose/pod"
)

// pullImages adds a pull for every image that a container to be made needs and the store lacks.
func (u *up) pullImages() error {
	var errs []error
	for _, name := range u.names {
		f := u.fates[name]
		image := f.want.Image
		if _, have := u.observed.Images[image]; have || !f.created() || u.pulled[image] != 0 {
			continue
		}
		if f.want.Pull == pod.PullNever {
			errs = append(errs, fmt.Errorf("cannot create container %q: image %q is not in the store and its pull policy is never", name, image))
			continue
		}
		u.pulled[image] = u.plan.add(PullImage{Image: image, Platform: f.want.Platform}, "not in the store")
	}
	return errors.Join(errs...)
}

// createVolumes adds the named volumes that the selected containers mount and that do not exist.
func (u *up) createVolumes() error {
	used := map[string]string{}
	for _, name := range u.names {
		for _, m := range u.fates[name].want.Mounts {
			if m.Type == pod.MountVolume && used[m.Source] == "" {
				used[m.Source] = name
			}
		}
	}
	var errs []error
	for _, v := range u.desired.Volumes {
		switch {
		case used[v.Name] == "" || slices.Contains(u.observed.Volumes, v.Name):
		case v.External:
			errs = append(errs, fmt.Errorf("cannot create container %q: volume %q is external and does not exist: create it with `pcompose volume create %s`", used[v.Name], v.Name, v.Name))
		default:
			u.made[v.Name] = u.plan.add(CreateVolume{v}, "does not exist")
		}
	}
	return errors.Join(errs...)
}

// sandbox adds the pod's namespaces, or the change of its published ports.
func (u *up) sandbox() {
	ports := u.published()
	switch {
	case !u.observed.Up && u.opt.CreateOnly:
	case !u.observed.Up:
		u.sandboxed = u.plan.add(CreateSandbox{Name: u.desired.Name, Cells: u.desired.Cells, Ports: ports}, "not running")
		u.portsDone = u.sandboxed
	case !samePorts(ports, u.observed.Ports) && !u.opt.CreateOnly:
		u.portsDone = u.plan.add(PublishPorts{Name: u.desired.Name, Ports: ports}, "published ports changed")
	}
}

// published are the ports the pod should have after the plan: those of the selected containers, and of the
// living ones that the plan does not touch.
func (u *up) published() []pod.Port {
	var ports []pod.Port
	for _, name := range u.names {
		ports = append(ports, u.fates[name].want.Ports...)
	}
	for _, c := range u.observed.Containers {
		if u.fates[c.Name] == nil && c.Run.State.Alive() && !(u.opt.RemoveOrphans && u.orphan(c)) && !u.surplus(c) {
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
		if f == nil || !f.exists {
			continue
		}
		if f.stopped() {
			why := f.bounce
			if f.replace != "" {
				why = f.replace
			}
			after := append(u.dependentsStopped(name), u.prepared(f)...)
			u.stoppedBy[name] = u.plan.add(StopContainer{Name: name, Grace: u.grace(f.have.Stop)}, why, after...)
		}
		if f.replace != "" {
			after := append(u.prepared(f), u.stoppedBy[name])
			u.removedBy[name] = u.plan.add(RemoveContainer{Name: name, Volumes: u.opt.RenewAnonymous}, f.replace, after...)
		}
	}
}

// prepared are the steps that must succeed before anything is taken away for a container: what its
// replacement needs.
func (u *up) prepared(f *fate) []int { return append(u.ingredients(f), u.portsDone) }

// ingredients are the steps that make what a container is made of. The pod's network is not among them: it is
// made meanwhile.
func (u *up) ingredients(f *fate) []int {
	steps := []int{u.pulled[f.want.Image]}
	for _, m := range f.want.Mounts {
		if m.Type == pod.MountVolume {
			steps = append(steps, u.made[m.Source])
		}
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

// orphan says whether a container is of a service that the file does not have.
func (u *up) orphan(c pod.ContainerStatus) bool {
	return !c.OneOff && !slices.ContainsFunc(u.desired.Containers, func(d pod.Container) bool { return d.Service == c.Service })
}

// surplus says whether a container is a replica more than its service, of those planned, should have.
func (u *up) surplus(c pod.ContainerStatus) bool {
	if c.OneOff || u.fates[c.Name] != nil {
		return false
	}
	return slices.ContainsFunc(u.names, func(name string) bool { return u.fates[name].want.Service == c.Service })
}

// removeOrphans removes surplus replicas, and orphans where asked to; else it notes them.
func (u *up) removeOrphans() {
	for _, c := range u.observed.Containers {
		why := ""
		switch {
		case u.surplus(c):
			why = fmt.Sprintf("service %s has fewer replicas now, or another container_name", c.Service)
		case u.orphan(c) && u.opt.RemoveOrphans:
			why = fmt.Sprintf("the file has no service %s", c.Service)
		case u.orphan(c):
			u.plan.note("container %s is of service %s, which the file does not have: --remove-orphans removes it", c.Name, c.Service)
		}
		if why != "" {
			stop := 0
			if c.Run.State.Alive() {
				stop = u.plan.add(StopContainer{Name: c.Name, Grace: u.grace(c.Stop)}, why)
			}
			u.removedBy[c.Name] = u.plan.add(RemoveContainer{Name: c.Name, Volumes: true}, why, stop)
		}
	}
}

// createContainers adds the containers that do not exist or are replaced.
func (u *up) createContainers() {
	for _, name := range u.names {
		f := u.fates[name]
		if !f.created() {
			continue
		}
		action, why := CreateContainer{Container: f.want}, "does not exist"
		if f.replace != "" {
			why = f.replace
			if !u.opt.RenewAnonymous {
				action.Reuse = f.have.Anonymous
			}
		}
		u.createdBy[name] = u.plan.add(action, why, append(u.ingredients(f), u.removedBy[name])...)
	}
}

func (u *up) updateContainers() {
	for _, name := range u.names {
		if f := u.fates[name]; len(f.updated) > 0 {
			u.plan.add(UpdateContainer{Container: f.want, Changed: f.updated}, "changed, and needs no new container", u.portsDone)
		}
	}
}

// startContainers adds the starts, each after the waits that its dependencies ask for.
func (u *up) startContainers() {
	for _, name := range startOrder(u.desired.Containers) {
		f := u.fates[name]
		if f == nil || f.start == "" {
			continue
		}
		after := []int{u.createdBy[name], u.stoppedBy[name], u.sandboxed, u.portsDone}
		for _, d := range f.want.After {
			for _, on := range u.replicas(d.On) {
				if u.fates[on] != nil { // --no-deps waits for none
					after = append(after, u.await(on, d))
				}
			}
		}
		u.startedBy[name] = u.plan.add(StartContainer{Name: name}, f.start, after...)
	}
	if u.opt.Wait {
		for _, name := range u.names {
			if !u.awaited(name) {
				u.await(name, pod.Dependency{On: u.fates[name].want.Service, Until: pod.UntilReady, Required: true})
			}
		}
	}
}

// await is the step after which a container has come as far as a dependency asks; 0 where it has already.
func (u *up) await(name string, d pod.Dependency) int {
	started := u.startedBy[name]
	if d.Until == pod.UntilStarted {
		return started
	}
	if started == 0 && reached(u.observed, name, d.Until) {
		return 0
	}
	d.Restart = false // does not change what is waited for
	if u.waits[d] == nil {
		u.waits[d] = map[string]int{}
	}
	if u.waits[d][name] == 0 {
		action := WaitContainer{Name: name, Until: d.Until, Required: d.Required}
		u.waits[d][name] = u.plan.add(action, whyWait(d), started)
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
