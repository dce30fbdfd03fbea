package planner

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/pcompose/pcompose/pod"
)

// RemoveImages says which images Down removes.
type RemoveImages string

const (
	KeepImages RemoveImages = ""
	// LocalImages are those without a name of their own: built for the project.
	LocalImages RemoveImages = "local"
	AllImages   RemoveImages = "all"
)

// DownOptions are what `down` may be asked for.
type DownOptions struct {
	// Services limits it to these, with what only they use; nil is the whole pod.
	Services      []string
	Volumes       bool
	Images        RemoveImages
	RemoveOrphans bool
	Grace         *time.Duration
}

// Down plans the end of a pod: containers in reverse order of their dependencies, then what was made for them.
// Desired is what the file says, nil where there is no file: then nothing is an orphan.
func Down(desired *pod.Spec, observed pod.Status, opt DownOptions) *Plan {
	plan := &Plan{Project: observed.Name}
	ending := func(c pod.ContainerStatus) bool {
		switch {
		case opt.Services != nil:
			return slices.Contains(opt.Services, c.Service)
		case desired == nil || opt.RemoveOrphans || c.OneOff:
			return true
		}
		return desired.Has(c.Service)
	}
	end := &teardown{plan: plan, observed: observed, grace: opt.Grace, why: "asked to end", stopped: map[string]int{}}
	if opt.Services == nil { // the first: it would restart what is stopped
		plan.unwatch(observed, "asked to end")
	}
	removed := end.remove(ending, opt.Volumes)
	rest := slices.DeleteFunc(slices.Clone(observed.Containers), ending)
	ended, stay := opt.downProviders(plan, desired, observed, removed)
	removed = append(removed, ended...)
	switch {
	case len(rest) > 0 || stay:
		end.publishRest(rest, removed)
	case observed.Up || observed.Spec != nil:
		removed = append(removed, plan.add(RemoveSandbox{observed.Name}, "asked to end", removed...))
	}
	for _, c := range rest {
		if opt.Services != nil {
			break // the others were meant to stay
		}
		plan.note("container %s is of service %s, which the file does not have, and keeps the pod: --remove-orphans removes it", c.Name, c.Service)
	}
	if opt.Volumes {
		opt.removeVolumes(plan, desired, observed, rest, removed)
	}
	if opt.Images != KeepImages {
		for _, image := range opt.unusedImages(desired, observed, rest) {
			plan.add(RemoveImage{image}, "asked to remove images", removed...)
		}
	}
	return plan
}

// Undo plans the way back from a failed Up: of successors whose service rolls back, and of a pod that did not exist
// before. Once a container of that has run, what it did is worth a look, and nothing is undone.
func Undo(before, now pod.Status) *Plan {
	if leave := undone(now); len(leave) > 0 {
		return rollback(now, leave)
	}
	// A provider may have made something that the next up finds.
	if before.Spec != nil || before.Up || len(now.Providers) > 0 {
		return &Plan{Project: now.Name}
	}
	for _, c := range now.Containers {
		if !c.Run.StartedAt.IsZero() || c.Run.Error != "" || c.Run.State.Alive() {
			return &Plan{Project: now.Name}
		}
	}
	now.Volumes = slices.DeleteFunc(slices.Clone(now.Volumes), func(v string) bool { return slices.Contains(before.Volumes, v) })
	return Down(nil, now, DownOptions{Volumes: true})
}

// concerned are the containers of the pod and the file that are to end.
func (o DownOptions) concerned(desired *pod.Spec, observed pod.Status) []pod.Container {
	var all []pod.Container
	for _, c := range observed.Containers {
		all = append(all, c.Container)
	}
	if desired != nil {
		all = append(all, desired.Containers...)
	}
	return slices.DeleteFunc(all, func(c pod.Container) bool { return o.Services != nil && !slices.Contains(o.Services, c.Service) })
}

// removeVolumes removes the volumes that the file or the pod declares, but those of containers that stay, and where
// services are named those of others.
func (o DownOptions) removeVolumes(plan *Plan, desired *pod.Spec, observed pod.Status, rest []pod.ContainerStatus, after []int) {
	declared := map[string]pod.Volume{}
	for _, spec := range []*pod.Spec{observed.Spec, desired} {
		if spec != nil {
			for _, v := range spec.Volumes {
				declared[v.Name] = v
			}
		}
	}
	concerned := o.concerned(desired, observed)
	for _, name := range slices.Sorted(keys(declared)) {
		mounts := func(c pod.ContainerStatus) bool { return mountsVolume(slices.Concat(c.Mounts, c.Taken), name) }
		if o.Services != nil && !slices.ContainsFunc(concerned, func(c pod.Container) bool { return mountsVolume(c.Mounts, name) }) {
			continue
		}
		if !declared[name].External && slices.Contains(observed.Volumes, name) && !slices.ContainsFunc(rest, mounts) {
			plan.add(RemoveVolume{name}, "asked to remove volumes", after...)
			plan.loses(fmt.Sprintf("the data in volume %s", name))
		}
	}
}

func mountsVolume(mounts []pod.Mount, name string) bool {
	return slices.ContainsFunc(mounts, func(m pod.Mount) bool { return m.Type == pod.MountVolume && m.Source == name })
}

// unusedImages are the images of the file and the pod, but those of containers that stay; sorted.
func (o DownOptions) unusedImages(desired *pod.Spec, observed pod.Status, rest []pod.ContainerStatus) []string {
	var images []string
	for _, c := range o.concerned(desired, observed) {
		images = append(images, c.Image)
	}
	slices.Sort(images)
	return slices.DeleteFunc(slices.Compact(images), func(image string) bool {
		_, present := observed.Images[image]
		used := slices.ContainsFunc(rest, func(c pod.ContainerStatus) bool { return c.Image == image })
		return !present || used || o.Images != AllImages && !builtFor(observed.Name, image)
	})
}

// builtFor says whether an image has the name that a build without `image:` gets: project-service.
func builtFor(project, image string) bool {
	return strings.HasPrefix(image, project+"-")
}

// Stop plans the stop of the named services' containers (nil: all), dependents first. Their ports are free
// afterwards. One-off containers go on: they end with whoever runs them.
func Stop(observed pod.Status, services []string, grace *time.Duration) *Plan {
	plan := &Plan{Project: observed.Name}
	end := &teardown{plan: plan, observed: observed, grace: grace, why: "asked to stop", stopped: map[string]int{}}
	chosen := func(c pod.ContainerStatus) bool { return !c.OneOff && named(services)(c) }
	if services == nil {
		plan.unwatch(observed, "asked to stop")
	}
	stops := end.stop(chosen)
	if len(stops) > 0 {
		rest := slices.DeleteFunc(slices.Clone(observed.Containers), chosen)
		end.publishRest(rest, stops)
	}
	plan.stopProviders(observed, services, stops)
	return plan
}

// Remove plans the removal of stopped containers, of running ones too if stopFirst.
func Remove(observed pod.Status, services []string, stopFirst, volumes bool) *Plan {
	plan := &Plan{Project: observed.Name}
	end := &teardown{plan: plan, observed: observed, why: "asked to remove", stopped: map[string]int{}}
	end.remove(func(c pod.ContainerStatus) bool {
		return named(services)(c) && (stopFirst || !c.Run.State.Alive())
	}, volumes)
	if len(end.stopped) > 0 {
		end.publishRest(slices.DeleteFunc(slices.Clone(observed.Containers), named(services)), slices.Collect(maps.Values(end.stopped)))
	}
	return plan
}

// Kill plans a signal to every living container of the named services.
func Kill(observed pod.Status, services []string, signal string) *Plan {
	plan := &Plan{Project: observed.Name}
	for _, c := range observed.Containers {
		if named(services)(c) && c.Run.State.Alive() {
			plan.add(KillContainer{Name: c.Name, Signal: signal}, "asked to kill")
		}
	}
	return plan
}

// Start plans the start of containers that exist, in the order and after the waits of their dependencies.
func Start(observed pod.Status, services []string, wait bool) (*Plan, error) {
	return again(observed, UpOptions{Services: services, OnlyNamed: services != nil, Recreate: RecreateNone, Wait: wait})
}

// Restart plans a stop and a start of the named services' containers; nil names all. Dependents says whether those
// that depend on them with restart: true restart too.
func Restart(observed pod.Status, services []string, dependents bool, grace *time.Duration) (*Plan, error) {
	return again(observed, UpOptions{
		Services: services, OnlyNamed: services != nil, Dependents: dependents, Recreate: RecreateNone, Restart: true, Grace: grace,
	})
}

// again plans an Up of the containers that there are. Those whose creation was interrupted are left for the next
// Up, which has the file.
func again(observed pod.Status, opt UpOptions) (*Plan, error) {
	opt.asFound = true
	return newUp(newChoice(asSpec(observed), observed, opt)).make()
}

// asSpec is the pod that the observed containers were made for.
func asSpec(observed pod.Status) pod.Spec {
	spec := pod.Spec{Name: observed.Name}
	if observed.Spec != nil {
		spec = *observed.Spec
	}
	spec.Containers = nil
	for _, c := range observed.Containers {
		if !c.OneOff && c.Run.State != pod.StatePartial {
			spec.Containers = append(spec.Containers, c.Container)
		}
	}
	return spec
}

// named tells the containers of the named services; nil names all.
func named(services []string) func(pod.ContainerStatus) bool {
	return func(c pod.ContainerStatus) bool { return services == nil || slices.Contains(services, c.Service) }
}
