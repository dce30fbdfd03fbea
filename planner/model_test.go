package planner_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/pcompose/pcompose/planner"
	"github.com/pcompose/pcompose/pod"
)

// invariants are true of every plan.
func invariants(t *testing.T, plan *planner.Plan) {
	t.Helper()
	made, stops := map[string]int{}, map[string]int{}
	for i, s := range plan.Steps {
		if s.ID != i+1 || s.Why == "" {
			t.Errorf("step %d has ID %d and reason %q", i+1, s.ID, s.Why)
		}
		for _, id := range slices.Concat(s.After, s.Past) {
			if id < 1 || id >= s.ID {
				t.Errorf("step %d waits for %d", s.ID, id)
			}
		}
		switch a := s.Action.(type) {
		case planner.CreateContainer:
			made[a.Container.Name] = s.ID
		case planner.StopContainer:
			stops[a.Name] = s.ID
		case planner.StartContainer:
			if id := made[a.Name]; id != 0 && !waitsFor(plan, s, id) {
				t.Errorf("%v starts a container before it is made", s)
			}
			if id := stops[a.Name]; id != 0 && !waitsFor(plan, s, id) {
				t.Errorf("%v starts a container before it has stopped", s)
			}
		case planner.RemoveContainer:
			if id := stops[a.Name]; id != 0 && !waitsFor(plan, s, id) {
				t.Errorf("%v removes a container before it has stopped", s)
			}
		case planner.PullImage, planner.BuildImage, planner.CreateVolume, planner.CreateSandbox, planner.ConnectCells, planner.PublishPorts, planner.UpdateContainer,
			planner.RenameContainer, planner.RunPostStart, planner.RunPreStop, planner.WaitContainer, planner.KillContainer, planner.PauseContainer, planner.UnpauseContainer, planner.RemoveSandbox, planner.RemoveVolume, planner.RemoveImage, planner.RunProvider, planner.PushImage, planner.BeginWatch, planner.EndWatch:
			// carryOut tells what goes wrong with these.
		}
	}
	if t.Failed() {
		t.Logf("the plan:\n%s", plan)
	}
}

// waitsFor says whether a step starts only after another has succeeded.
func waitsFor(plan *planner.Plan, s planner.Step, id int) bool {
	return slices.ContainsFunc(s.After, func(on int) bool { return on == id || waitsFor(plan, plan.Steps[on-1], id) })
}

// model is a pod and what is done to it; an action that could not be done is an error.
type model struct{ pod.Status }

// carryOut does a plan's first steps, in a random one of the orders that it allows.
func (m *model) carryOut(plan *planner.Plan, steps int, rnd *rand.Rand) error {
	done := map[int]bool{}
	serving := m.serving(plan)
	for range min(steps, len(plan.Steps)) {
		var ready []planner.Step
		for _, s := range plan.Steps {
			waits := slices.ContainsFunc(slices.Concat(s.After, s.Past), func(id int) bool { return !done[id] })
			if !done[s.ID] && !waits {
				ready = append(ready, s)
			}
		}
		s := ready[rnd.IntN(len(ready))]
		done[s.ID] = true
		if err := m.do(s.Action); err != nil {
			return fmt.Errorf("step %d: %w, in the plan\n%s", s.ID, err, plan)
		}
		for _, service := range serving {
			if !m.runs(service) {
				return fmt.Errorf("step %d: nothing runs of %s, in the plan\n%s", s.ID, service, plan)
			}
		}
	}
	return nil
}

// serving are the services of which something must run all the time: those that start first, of which one of the
// containers that stay runs now, is not restarted with another and has no address that its successor needs. A plan that starts nothing promises nothing.
func (m *model) serving(plan *planner.Plan) []string {
	created, started := map[string]bool{}, map[string]bool{}
	for _, s := range plan.Steps {
		switch a := s.Action.(type) {
		case planner.CreateContainer:
			created[a.Container.Name] = true
		case planner.StartContainer:
			started[a.Name] = true
		default:
		}
	}
	var all []string
	for _, c := range plan.Pod.Containers {
		have, _ := m.Container(c.Name)
		restarts, onlyMade := started[c.Name] && !created[c.Name], created[c.Name] && !started[c.Name]
		fixed := slices.ContainsFunc(slices.Concat(c.Networks, have.Networks), func(a pod.Attachment) bool { return a.IPv4 != "" })
		if c.Update != nil && c.Update.StartFirst && have.Run.State == pod.StateRunning && !restarts && !onlyMade && !fixed {
			all = append(all, c.Service)
		}
	}
	return all
}

func (m *model) runs(service string) bool {
	return slices.ContainsFunc(m.Containers, func(c pod.ContainerStatus) bool {
		return c.Service == service && c.Run.State == pod.StateRunning
	})
}

func (m *model) do(action planner.Action) error {
	switch a := action.(type) {
	case planner.PullImage:
		m.Images[a.Image] = pod.Image{ID: "1"}
	case planner.CreateVolume:
		m.Volumes = append(m.Volumes, a.Volume.Name)
	case planner.CreateSandbox:
		m.Up, m.Ports = true, slices.Clone(a.Ports)
		return m.connect(a.Topology)
	case planner.ConnectCells:
		if err := m.connect(a.Topology); err != nil {
			return err
		}
		for _, c := range m.Containers {
			if c.Run.State.Alive() && !m.hasCell(c.Cell) {
				return fmt.Errorf("%s lives in cell %s, which goes", c.Name, c.Cell)
			}
		}
	case planner.PublishPorts:
		m.Ports = slices.Clone(a.Ports)
		if !m.Up {
			return fmt.Errorf("no pod to publish the ports of")
		}
	case planner.CreateContainer:
		return m.create(a.Container)
	case planner.UpdateContainer:
		return m.with(a.Container.Name, func(c *pod.ContainerStatus) error {
			c.Container = a.Container
			return nil
		})
	case planner.StartContainer:
		return m.with(a.Name, m.start)
	case planner.WaitContainer:
		return m.with(a.Name, func(c *pod.ContainerStatus) error { return wait(c, a.Until) })
	case planner.RunPostStart:
		return m.with(a.Name, func(c *pod.ContainerStatus) error {
			if c.Run.State != pod.StateRunning || c.Run.PostStarted != a.Index {
				return fmt.Errorf("hook %d of %s, which is %s after %d", a.Index, c.Name, c.Run.State, c.Run.PostStarted)
			}
			c.Run.PostStarted++
			return nil
		})
	case planner.RunPreStop:
		return m.with(a.Name, func(c *pod.ContainerStatus) error {
			if c.Run.State != pod.StateRunning {
				return fmt.Errorf("pre_stop hook of %s, which is %s", c.Name, c.Run.State)
			}
			return nil
		})
	case planner.RenameContainer:
		return m.rename(a)
	case planner.StopContainer:
		return m.with(a.Name, m.stop)
	case planner.RemoveContainer:
		err := m.with(a.Name, func(c *pod.ContainerStatus) error {
			if c.Run.State.Alive() {
				return fmt.Errorf("%s runs", c.Name)
			}
			return nil
		})
		m.Containers = slices.DeleteFunc(m.Containers, func(c pod.ContainerStatus) bool { return c.Name == a.Name })
		return err
	case planner.RemoveSandbox:
		if len(m.Containers) > 0 {
			return fmt.Errorf("the pod has containers")
		}
		m.Up, m.Ports, m.Spec, m.Topology = false, nil, nil, pod.Topology{}
	case planner.RemoveVolume:
		m.Volumes = slices.DeleteFunc(m.Volumes, func(v string) bool { return v == a.Name })
		if slices.ContainsFunc(m.Containers, func(c pod.ContainerStatus) bool { return mounts(c.Container, a.Name) }) {
			return fmt.Errorf("volume %s is mounted", a.Name)
		}
	default:
		return fmt.Errorf("no model of %T", a)
	}
	return nil
}

// rename refuses to make a container the one that is asked for that could not answer.
func (m *model) rename(a planner.RenameContainer) error {
	names := map[string]string{a.Name: a.To}
	if _, there := m.Container(a.To); there != (a.Was != "") {
		return fmt.Errorf("%s becomes %q", a.To, a.Was)
	} else if there {
		names[a.To] = a.Was
	}
	if c, _ := m.Container(a.Name); c.Run.State != pod.StateRunning || c.Health != nil && c.Run.Health != pod.HealthHealthy {
		return fmt.Errorf("%s takes a place and is not ready", a.Name)
	}
	for i := range m.Containers {
		if c := &m.Containers[i]; names[c.Name] != "" {
			c.Leaving, c.Succeeds = c.Name == a.To, ""
			c.Container = c.Renamed(names[c.Name])
		}
	}
	for i := range m.Ports {
		m.Ports[i].Container = cmp.Or(names[m.Ports[i].Container], m.Ports[i].Container)
	}
	for i := range m.Topology.Members {
		m.Topology.Members[i].Container = cmp.Or(names[m.Topology.Members[i].Container], m.Topology.Members[i].Container)
	}
	slices.SortFunc(m.Topology.Members, func(a, b pod.Member) int { return strings.Compare(a.Container, b.Container) })
	slices.SortFunc(m.Containers, func(a, b pod.ContainerStatus) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

// connect refuses an address of two cells: who asked for the one may be sent to the other.
func (m *model) connect(t pod.Topology) error {
	has := map[string]string{}
	for _, c := range t.Cells {
		for _, l := range c.Links {
			at := l.Network + " " + l.IPv4
			if other := has[at]; other != "" && l.IPv4 != "" {
				return fmt.Errorf("cells %s and %s are both %s", other, c.Name, at)
			}
			has[at] = c.Name
		}
	}
	m.Topology = t
	m.Topology.Members = slices.Clone(t.Members)
	return nil
}

func (m *model) hasCell(name string) bool {
	return slices.ContainsFunc(m.Topology.Cells, func(c pod.Cell) bool { return c.Name == name })
}

func (m *model) with(name string, f func(*pod.ContainerStatus) error) error {
	i := slices.IndexFunc(m.Containers, func(c pod.ContainerStatus) bool { return c.Name == name })
	if i < 0 {
		return fmt.Errorf("no container %s", name)
	}
	return f(&m.Containers[i])
}

func (m *model) create(c pod.Container) error {
	if _, exists := m.Container(c.Name); exists {
		return fmt.Errorf("%s exists", c.Name)
	}
	image, ok := m.Images[c.Image]
	if !ok {
		return fmt.Errorf("no image %s", c.Image)
	}
	for _, mount := range c.Mounts {
		if !slices.Contains(m.Volumes, mount.Source) {
			return fmt.Errorf("no volume %s", mount.Source)
		}
	}
	m.Containers = append(m.Containers, pod.ContainerStatus{Container: c, ImageID: image.ID, Run: pod.Run{State: pod.StateCreated}})
	slices.SortFunc(m.Containers, func(a, b pod.ContainerStatus) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

// start refuses what would go wrong for real: no network, a port that is not published or that another container
// listens on, a dependency that is not there yet.
func (m *model) start(c *pod.ContainerStatus) error {
	switch {
	case !m.Up:
		return fmt.Errorf("%s has no network", c.Name)
	case c.Run.State.Alive():
		return fmt.Errorf("%s runs", c.Name)
	case !m.hasCell(c.Cell):
		return fmt.Errorf("%s has no cell %s", c.Name, c.Cell)
	}
	for _, p := range c.Ports {
		if !slices.Contains(m.Ports, p) {
			return fmt.Errorf("port %v of %s is not published", p, c.Name)
		}
	}
	for _, other := range m.Containers {
		for _, l := range c.Listens {
			if other.Name != c.Name && other.Cell == c.Cell && other.Run.State.Alive() && slices.Contains(other.Listens, l) {
				return fmt.Errorf("%s listens on %d still, which %s wants", other.Name, l.Port, c.Name)
			}
		}
		for _, d := range c.After {
			met := map[pod.Until]bool{
				pod.UntilStarted: other.Run.State.Alive() && other.Run.PostStarted == len(other.PostStart),
				// One that was kept as it was may have no health check to wait for.
				pod.UntilHealthy:   other.Run.PostStarted == len(other.PostStart) && (other.Health == nil || other.Run.Health == pod.HealthHealthy),
				pod.UntilCompleted: other.Run.State == pod.StateExited,
			}
			if _, wanted := m.Spec.Container(other.Name); wanted && d.On == other.Service && !met[d.Until] {
				return fmt.Errorf("%s starts while %s is not %s", c.Name, other.Name, d.Until)
			}
		}
	}
	c.Run = pod.Run{State: pod.StateRunning}
	if c.Health != nil {
		c.Run.Health = pod.HealthStarting
	}
	return nil
}

func wait(c *pod.ContainerStatus, until pod.Until) error {
	switch {
	case c.Run.State != pod.StateRunning && c.Run.State != pod.StateExited:
		return fmt.Errorf("nobody starts %s", c.Name)
	case until == pod.UntilCompleted:
		// It keeps its health: an orphan may wait for the end of what the file now wants healthy.
		c.Run.State = pod.StateExited
	case c.Health != nil:
		c.Run.Health = pod.HealthHealthy
	}
	return nil
}

func (m *model) stop(c *pod.ContainerStatus) error {
	if !c.Run.State.Alive() {
		return fmt.Errorf("%s does not run", c.Name)
	}
	c.Run = pod.Run{State: pod.StateExited, Stopped: true}
	return nil
}

func mounts(c pod.Container, volume string) bool {
	return slices.ContainsFunc(c.Mounts, func(m pod.Mount) bool { return m.Source == volume })
}
