package planner

import (
	"slices"
	"time"

	"github.com/pcompose/pcompose/pod"
)

// teardown adds stops and removals to a plan.
type teardown struct {
	plan     *Plan
	observed pod.Status
	grace    *time.Duration
	why      string
	// stopped are the stop steps by container.
	stopped map[string]int
}

// stop adds a stop for every living container chosen, dependents first, and returns the steps.
func (t *teardown) stop(chosen func(pod.ContainerStatus) bool) []int {
	var steps []int
	for _, name := range reverseOrder(t.observed.Containers) {
		c, _ := t.observed.Container(name)
		if !chosen(c) || !c.Run.State.Alive() {
			continue
		}
		var after []int
		for _, other := range t.observed.Containers {
			if dependsOn(other.Container, c.Service) {
				after = append(after, t.stopped[other.Name])
			}
		}
		t.stopped[name] = t.plan.stop(c, graceOr(t.grace, c.Stop), t.why, after...)
		steps = append(steps, t.stopped[name])
	}
	return steps
}

// remove adds stops and removals for every container chosen, and returns the removals.
func (t *teardown) remove(chosen func(pod.ContainerStatus) bool, volumes bool) []int {
	t.stop(chosen)
	var steps []int
	removed := map[string]int{}
	for _, name := range reverseOrder(t.observed.Containers) {
		c, _ := t.observed.Container(name)
		if !chosen(c) {
			continue
		}
		after := []int{t.stopped[name]}
		for _, other := range t.observed.Containers {
			if takesFrom(other.Container, name) {
				after = append(after, removed[other.Name])
			}
		}
		removed[name] = t.plan.remove(c, volumes, t.why, after...)
		steps = append(steps, removed[name])
	}
	return steps
}

// publishRest leaves published what the remaining containers need.
func (t *teardown) publishRest(rest []pod.ContainerStatus, after []int) {
	var ports []pod.Port
	for _, c := range rest {
		if c.Run.State.Alive() {
			ports = append(ports, c.Ports...)
		}
	}
	if t.observed.Up && !samePorts(ports, t.observed.Ports) {
		t.plan.add(PublishPorts{Name: t.observed.Name, Ports: ports}, t.why, slices.Clone(after)...)
	}
}
