package planner

import "github.com/pcompose/pcompose/pod"

// Pause plans the rest of every running container of the named services (nil: all), dependents first: who waits for
// an answer rests before who gives it. One-off containers go on.
func Pause(observed pod.Status, services []string) *Plan {
	plan := &Plan{Project: observed.Name}
	paused := map[string]int{}
	for _, name := range reverseOrder(observed.Containers) {
		c, _ := observed.Container(name)
		if c.OneOff || !named(services)(c) || c.Run.State != pod.StateRunning {
			continue
		}
		var after []int
		for _, other := range observed.Containers {
			if dependsOn(other.Container, c.Service) {
				after = append(after, paused[other.Name])
			}
		}
		paused[name] = plan.add(PauseContainer{Name: name}, "asked to pause", after...)
	}
	return plan
}

// Unpause plans that every paused container of the named services (nil: all) goes on, after what it depends on.
func Unpause(observed pod.Status, services []string) *Plan {
	plan := &Plan{Project: observed.Name}
	resumed := map[string][]int{}
	containers := make([]pod.Container, len(observed.Containers))
	for i, c := range observed.Containers {
		containers[i] = c.Container
	}
	for _, name := range startOrder(containers) {
		c, _ := observed.Container(name)
		if c.OneOff || !named(services)(c) || c.Run.State != pod.StatePaused {
			continue
		}
		var after []int
		for _, d := range c.After {
			after = append(after, resumed[d.On]...)
		}
		resumed[c.Service] = append(resumed[c.Service], plan.add(UnpauseContainer{Name: name}, "asked to unpause", after...))
	}
	return plan
}
