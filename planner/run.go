package planner

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pcompose/pcompose/pod"
)

// RunOptions are what `run` may be asked for.
type RunOptions struct {
	// NoDeps neither starts nor waits for what the container depends on.
	NoDeps        bool
	RemoveOrphans bool
	// Provided, Build and Built are as in UpOptions.
	Provided bool
	Build    BuildWhich
	Built    bool
}

// Run plans a one-off container: what it depends on is brought up as Up does it, and its start waits for the conditions
// of the file. What runs of its own service is left alone. It fails, before anything is done, where its name or a host
// port it publishes is taken.
func Run(desired pod.Spec, c pod.Container, observed pod.Status, opt RunOptions) (*Plan, error) {
	ch := runChoice(desired, c, observed, opt)
	provide(&c, desired, observed)
	discardPorts(ch, []*pod.Container{&c}, desired)
	chooseHostPorts(ch, []*pod.Container{&c})
	if err := errors.Join(nameTaken(ch, c), portsOfOthers(ch, c)); err != nil {
		return nil, err
	}
	include(ch, c)
	return newUp(ch).make()
}

// include adds a container that is made.
func include(ch *choice, c pod.Container) {
	ch.fates[c.Name] = &fate{want: c}
	ch.names = append(ch.names, c.Name)
}

// runChoice is what a one-off container depends on.
func runChoice(desired pod.Spec, c pod.Container, observed pod.Status, opt RunOptions) *choice {
	return newChoice(desired, observed, UpOptions{Services: runNeeds(desired, c, opt), RemoveOrphans: opt.RemoveOrphans,
		Provided: opt.Provided, Build: opt.Build, Built: opt.Built})
}

// runNeeds are the services that a run of a container brings up before.
func runNeeds(desired pod.Spec, c pod.Container, opt RunOptions) []string {
	services := []string{}
	for _, d := range c.After {
		if !opt.NoDeps && desired.Has(d.On) {
			services = append(services, d.On)
		}
	}
	return services
}

// nameTaken refuses a name that another container has, or will have.
func nameTaken(ch *choice, c pod.Container) error {
	other, exists := ch.observed.Container(c.Name)
	planned, wanted := ch.desired.Container(c.Name)
	switch {
	case exists:
		return fmt.Errorf("cannot create container %q: a container of service %q has that name: choose another --name, or remove it", c.Name, other.Service)
	case wanted:
		return fmt.Errorf("cannot create container %q: the file gives that name to service %q: choose another --name", c.Name, planned.Service)
	}
	return nil
}

// portsOfOthers refuses host ports that containers of the pod publish, or will once the plan is carried out.
func portsOfOthers(ch *choice, c pod.Container) error {
	publish := map[string][]pod.Port{}
	for _, o := range ch.observed.Containers {
		if o.Run.State.Alive() && ch.whyLeave(o) == "" {
			publish[o.Name] = o.Ports
		}
	}
	for name, f := range ch.fates {
		publish[name] = f.want.Ports
	}
	var errs []error
	for _, p := range c.Ports {
		for _, name := range slices.Sorted(keys(publish)) {
			if p.Last == 0 && slices.ContainsFunc(publish[name], p.Collides) {
				errs = append(errs, fmt.Errorf("cannot publish port %d/%s of %s: %s publishes it: publish another host port", p.HostPort, p.Protocol, c.Name, name))
			}
		}
	}
	return errors.Join(errs...)
}

// removeEnded removes one-off containers that were to go once they had ended.
func removeEnded(u *up) {
	for _, c := range u.observed.Containers {
		if c.OneOff && c.AutoRemove && !c.Run.State.Alive() && c.Run.State != pod.StateCreated {
			u.plan.remove(c, true, "it has ended, and run --rm asked for that")
		}
	}
}

// RemoveOneOff plans the end of a one-off container: it is killed where it still lives, and its anonymous volumes go with it.
// Nothing where there is no such container.
func RemoveOneOff(observed pod.Status, name string) *Plan {
	plan := &Plan{Project: observed.Name}
	end := &teardown{plan: plan, observed: observed, grace: new(time.Duration), why: "asked to remove", stopped: map[string]int{}}
	chosen := func(c pod.ContainerStatus) bool { return c.OneOff && c.Name == name }
	removed := end.remove(chosen, true)
	if len(removed) > 0 {
		end.publishRest(slices.DeleteFunc(slices.Clone(observed.Containers), chosen), removed)
	}
	return plan
}
