package planner

import (
	"errors"
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
	// Dependents restarts what depends on Services with restart: true, though OnlyNamed leaves others alone.
	Dependents bool
	// CreateOnly starts nothing.
	CreateOnly bool
	Recreate   Recreate
	// AllVolumes makes those too that no container mounts.
	AllVolumes bool
	// Restart stops what runs of the selected containers and starts them all.
	Restart bool
	// ForceDependencies replaces what the services named depend on, whatever Recreate says of the named.
	ForceDependencies bool
	// RecreateVolumes are those of Diverged to be made anew.
	RecreateVolumes []string
	// RenewAnonymous gives replaced containers new anonymous volumes.
	RenewAnonymous bool
	RemoveOrphans  bool
	// IgnoreOrphans says nothing of orphans.
	IgnoreOrphans bool
	// Provided says that the providers have been run, so that what they gave is known. Else the plan runs them.
	Provided bool
	// Build says which images are built, Built that they have been: else the plan builds them.
	Build BuildWhich
	Built bool
	// Watcher is the program that watches files from then on, nil to leave that as it is.
	Watcher *pod.Watcher
	// Wait ends the plan with a wait for every container to be ready.
	Wait bool
	// Grace overrides the time each container has to stop.
	Grace *time.Duration
	// asFound says that the pod is planned that was observed.
	asFound bool
}

// Up plans the steps that make the observed pod the desired one. It fails, before anything is done, where the
// pod could not work: a host port taken, an image that cannot be had, a network without addresses.
func Up(desired pod.Spec, observed pod.Status, opt UpOptions) (*Plan, error) {
	return newUp(newChoice(desired, observed, opt)).make()
}

// divide divides the pod, once all is there that it needs.
func divide(u *up) error {
	d := division{u.choice}
	err := errors.Join(u.absent(), u.cannotStart(), u.strange)
	if u.plan.Notes = u.notes; err != nil {
		return err
	}
	err = d.divide()
	u.plan.Notes = u.notes
	return err
}

// make adds the steps. What could not work is found before the first.
func (u *up) make() (*Plan, error) {
	if err := errors.Join(u.unknownServices(), u.portsTaken(), divide(u)); err != nil {
		return nil, err
	}
	u.chooseFates()
	for (rollout{u}).choose() {
		if err := (division{u.choice}).divide(); err != nil {
			return nil, err
		}
		u.chooseFates()
	}
	noteDenied(u)
	if err := errors.Join(lacking(u.choice), addBuilds(u), u.pullImages()); err != nil {
		return nil, err
	}
	u.createVolumes()
	u.sandbox()
	runProviders(u)
	removeHooks(u)
	u.stopReplaced()
	u.removeOrphans()
	leaveProviders(u)
	u.recreateVolumes()
	removeEnded(u)
	u.createContainers()
	u.updateContainers()
	if !u.opt.CreateOnly {
		u.startContainers()
	}
	beginWatch(u)
	rollout{u}.unpublish()
	connection{u}.disconnect()
	u.plan.Pod, u.plan.During = u.desired, rollout{u}.pod()
	return u.plan, nil
}

// up is a plan of Up in the making.
type up struct {
	*choice
	plan *Plan
	// The steps made so far, by image, volume or container; 0 for none. A start is the last of its post_start hooks.
	made, stoppedBy, removedBy, createdBy, updatedBy, startedBy map[string]int
	// provided are the runs of providers, by service.
	provided map[string]int
	waits    map[pod.Dependency]map[string]int
	// built are the builds, by the first name of the image.
	built map[string]int
	// pulls are all pulls and builds: nothing is made before every image is there, so that a missing one leaves nothing.
	pulls []int
	// turns are the replacements of each service so far.
	turns map[string]*turns
	// portsDone is the step that makes the network, or changes its ports.
	portsDone int
}

func newUp(c *choice) *up {
	return &up{
		choice: c, plan: &Plan{Project: c.desired.Name, Notes: c.notes},
		made: map[string]int{}, stoppedBy: map[string]int{}, removedBy: map[string]int{},
		createdBy: map[string]int{}, updatedBy: map[string]int{}, startedBy: map[string]int{},
		waits: map[pod.Dependency]map[string]int{}, provided: map[string]int{}, turns: map[string]*turns{},
	}
}

// grace is the time a container has to stop.
func (u *up) grace(s pod.Stop) time.Duration { return graceOr(u.opt.Grace, s) }

func graceOr(override *time.Duration, s pod.Stop) time.Duration {
	if override != nil {
		return *override
	}
	return s.GraceOrDefault()
}
