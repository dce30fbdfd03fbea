package planner_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pcompose/pcompose/planner"
	"github.com/pcompose/pcompose/pod"
)

// TestConverges brings random pods up, changes them, interrupts the change, and takes them down: every plan can
// be carried out in every order it allows, and once it has been there is nothing left to do.
func TestConverges(t *testing.T) {
	refused := 0
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		if !converges(t, rnd) {
			refused++
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if refused > 100 {
		t.Errorf("%d of 300 random pods were refused: they test nothing", refused)
	}
}

func converges(t *testing.T, rnd *rand.Rand) bool {
	m := &model{pod.Status{Name: "shop", Images: map[string]pod.Image{}}}
	for range 3 {
		spec := randomSpec(rnd)
		if rnd.IntN(3) == 0 { // a command that is killed
			plan, err := planner.Up(spec, m.Status, randomOptions(rnd, spec))
			if err != nil {
				return false
			}
			m.Spec = cmp.Or(plan.During, &plan.Pod)
			invariants(t, plan)
			if err := m.carryOut(plan, rnd.IntN(len(plan.Steps)+1), rnd); err != nil {
				t.Error(err)
			}
			m.interrupt(rnd)
		}
		opt := planner.UpOptions{RemoveOrphans: true, Wait: rnd.IntN(2) == 0}
		plan, err := planner.Up(spec, m.Status, opt)
		if err != nil {
			return false
		}
		m.Spec = &plan.Pod
		settle(t, m, plan, rnd)
		again, err := planner.Up(spec, oneShotsRunning(m.Status), opt)
		if err != nil || !again.Empty() {
			t.Errorf("a second up is not empty: %v\n%v\nthe first:\n%v", err, again, plan)
		}
	}
	down := planner.Down(m.Spec, m.Status, planner.DownOptions{Volumes: true})
	settle(t, m, down, rnd)
	if again := planner.Down(m.Spec, m.Status, planner.DownOptions{Volumes: true}); !again.Empty() || len(m.Volumes) > 0 || m.Up {
		t.Errorf("a second down is not empty:\n%v\nthe first:\n%v", again, down)
	}
	return true
}

// settle carries out all of a plan.
func settle(t *testing.T, m *model, plan *planner.Plan, rnd *rand.Rand) {
	t.Helper()
	invariants(t, plan)
	if err := m.carryOut(plan, len(plan.Steps), rnd); err != nil {
		t.Error(err)
	}
}

// oneShotsRunning is the pod before its containers completed: every up runs those again, and only those.
func oneShotsRunning(have pod.Status) pod.Status {
	have.Containers = slices.Clone(have.Containers)
	for i := range have.Containers {
		if run := &have.Containers[i].Run; run.State == pod.StateExited && !run.Stopped {
			run.State = pod.StateRunning
		}
	}
	return have
}

// interrupt leaves a container as a kill in the middle of its creation does.
func (m *model) interrupt(rnd *rand.Rand) {
	for i := range m.Containers {
		if c := &m.Containers[i]; c.Run.State == pod.StateCreated && rnd.IntN(2) == 0 {
			c.Run.State = pod.StatePartial
			return
		}
	}
}

// randomSpec is a pod of up to five services; a and A are one service under two names, which listen on one port. Some
// listen on the port of another, and some are on another network, where an address that the file gives may have been another's.
func randomSpec(rnd *rand.Rand) pod.Spec {
	spec := pod.Spec{Name: "shop", Volumes: []pod.Volume{{Name: "data"}}, Networks: []pod.Network{{Key: "default"}, {Key: "other", Pools: []pod.Pool{{Subnet: "10.9.0.0/24"}}}}}
	var before []string
	oneShot := map[string]bool{}
	shift := rnd.IntN(5)
	for i, service := range []string{"a", "b", "c", "d", "e"} {
		switch rnd.IntN(6) {
		case 0:
			continue
		case 1:
			service = strings.ToUpper(service)
		case 2:
			spec.Idle = append(spec.Idle, service)
			continue
		}
		var after []pod.Dependency
		for _, on := range before {
			if rnd.IntN(2) == 0 {
				until := []pod.Until{pod.UntilStarted, pod.UntilHealthy}[rnd.IntN(2)]
				if oneShot[on] {
					until = pod.UntilCompleted
				}
				after = append(after, pod.Dependency{On: on, Until: until, Required: rnd.IntN(3) > 0, Restart: rnd.IntN(2) == 0})
			}
		}
		before = append(before, service)
		oneShot[service] = rnd.IntN(4) == 0
		n := 1 + rnd.IntN(3)
		var update *pod.Update
		if !oneShot[service] && rnd.IntN(2) == 0 {
			update = &pod.Update{StartFirst: rnd.IntN(3) > 0, Parallelism: rnd.IntN(3), Delay: time.Duration(rnd.IntN(2)) * time.Second}
		}
		network := []string{"default", "default", "other"}[rnd.IntN(3)]
		for r := 1; r <= n; r++ {
			c := replica(service, r)
			c.Image = []string{"x", "y"}[rnd.IntN(2)]
			c.Env = map[string]string{"V": fmt.Sprint(rnd.IntN(2))}
			c.Labels = map[string]string{"l": fmt.Sprint(rnd.IntN(2))}
			c.After, c.Update = after, update
			if !oneShot[service] && c.Image == "x" {
				c.PostStart, c.PreStop = hooks([]string{"a", "b"}), hooks([]string{"c"})
			}
			if !oneShot[service] {
				c.Health = &pod.Health{Test: []string{"CMD", "true"}}
			}
			c.Listens = []pod.Listen{{Port: uint16(80 + i%3), Protocol: pod.TCP}}
			c.Networks = []pod.Attachment{{Network: network}}
			if n == 1 && network == "other" && rnd.IntN(2) == 0 {
				c.Networks[0].IPv4 = fmt.Sprintf("10.9.0.%d", 100+(i+shift)%5)
			}
			if n == 1 {
				c.Ports = ports([]string{fmt.Sprintf("%d:%d", 8080+i+10*rnd.IntN(2), 80+i)}, c.Name)
			}
			if rnd.IntN(2) == 0 {
				c.Mounts = []pod.Mount{{Type: pod.MountVolume, Source: "data", Target: "/data"}}
			}
			spec.Containers = append(spec.Containers, c)
		}
	}
	slices.SortFunc(spec.Containers, func(a, b pod.Container) int { return strings.Compare(a.Name, b.Name) })
	return spec
}

func randomOptions(rnd *rand.Rand, spec pod.Spec) planner.UpOptions {
	opt := planner.UpOptions{
		Recreate: planner.Recreate(rnd.IntN(3)), CreateOnly: rnd.IntN(4) == 0, RemoveOrphans: true,
		Wait: rnd.IntN(2) == 0, RenewAnonymous: rnd.IntN(2) == 0,
	}
	if n := len(spec.Containers); n > 0 && rnd.IntN(3) == 0 {
		opt.Services = []string{spec.Containers[rnd.IntN(n)].Service}
	}
	return opt
}
