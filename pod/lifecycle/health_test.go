package lifecycle_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/lifecycle"
)

func probed(d time.Duration, code int) lifecycle.Event {
	return lifecycle.Probed{Probe: pod.Probe{At: at(d), Took: 500 * time.Millisecond, ExitCode: code}}
}

func TestHealth(t *testing.T) {
	check := []string{"CMD", "true"}
	regular := &pod.Health{Test: check, Interval: 10 * s, Retries: 2}
	slow := &pod.Health{Test: check, Interval: 10 * s, Retries: 2, StartPeriod: 20 * s, StartInterval: 1 * s}
	running := func(h *pod.Health, events ...happening) []happening {
		wait := "10s"
		switch {
		case h.StartInterval > 0:
			wait = h.StartInterval.String()
		case h.Interval == 0 && h.StartPeriod > 0:
			wait = "5s"
		case h.Interval == 0:
			wait = "30s"
		}
		return append([]happening{
			{start(0), "created launching => disarm:restart launch"},
			{started(0), "running pid=7 starting => arm:probe:" + wait},
		}, events...)
	}
	tests := map[string]struct {
		health *pod.Health
		events []happening
	}{
		"healthy, unhealthy, and well again": {regular, running(regular,
			happening{due(10*s, lifecycle.TimerProbe), "running pid=7 starting => probe"},
			happening{probed(10*s, 0), "running pid=7 healthy => arm:probe:10s"},
			happening{probed(20*s, 1), "running pid=7 healthy streak=1 => arm:probe:10s"},
			happening{probed(30*s, 1), "running pid=7 unhealthy streak=2 => arm:probe:10s"},
			happening{probed(40*s, -1), "running pid=7 unhealthy streak=3 => arm:probe:10s"}, // timed out
			happening{probed(50*s, 0), "running pid=7 healthy => arm:probe:10s"},
			happening{exited(60*s, 1), "exited code=1 => disarm:kill disarm:probe"},
			happening{probed(60*s, 0), "exited code=1 =>"}, // too late
			happening{due(60*s, lifecycle.TimerProbe), "exited code=1 =>"},
		)},
		"failures in the start period do not count": {slow, running(slow,
			happening{probed(1*s, 1), "running pid=7 starting => arm:probe:1s"},
			happening{probed(18*s, 1), "running pid=7 starting => arm:probe:1s"},
			happening{probed(20*s, 1), "running pid=7 starting streak=1 => arm:probe:10s"},
			happening{probed(30*s, 1), "running pid=7 unhealthy streak=2 => arm:probe:10s"},
		)},
		"a probe that ends after the start period counts": {slow, running(slow,
			happening{lifecycle.Probed{Probe: pod.Probe{At: at(19 * s), Took: 1 * s, ExitCode: -1}}, "running pid=7 starting streak=1 => arm:probe:10s"},
		)},
		"a success ends the start period": {slow, running(slow,
			happening{probed(1*s, 0), "running pid=7 healthy => arm:probe:10s"},
			happening{probed(2*s, 1), "running pid=7 healthy streak=1 => arm:probe:10s"},
			happening{probed(3*s, 1), "running pid=7 unhealthy streak=2 => arm:probe:10s"},
		)},
		"defaults": {&pod.Health{Test: check}, running(&pod.Health{Test: check},
			happening{probed(30*s, 1), "running pid=7 starting streak=1 => arm:probe:30s"},
			happening{probed(60*s, 1), "running pid=7 starting streak=2 => arm:probe:30s"},
			happening{probed(90*s, 1), "running pid=7 unhealthy streak=3 => arm:probe:30s"},
		)},
		"the default of start_interval": {&pod.Health{Test: check, StartPeriod: 20 * s}, running(&pod.Health{Test: check, StartPeriod: 20 * s},
			happening{probed(5*s, 1), "running pid=7 starting => arm:probe:5s"},
		)},
		"none while it ends": {regular, running(regular,
			happening{due(10*s, lifecycle.TimerProbe), "running pid=7 starting => probe"},
			happening{lifecycle.Stop{Grace: 5 * s}, "running stopping stopped pid=7 starting => disarm:probe signal: arm:kill:5s"},
			happening{probed(11*s, 0), "running stopping stopped pid=7 starting =>"},
			happening{due(11*s, lifecycle.TimerProbe), "running stopping stopped pid=7 starting =>"},
		)},
		"a new life begins anew": {regular, running(regular,
			happening{probed(10*s, 1), "running pid=7 starting streak=1 => arm:probe:10s"},
			happening{exited(11*s, 0), "exited streak=1 => disarm:kill disarm:probe"},
			happening{start(12 * s), "exited launching streak=1 => disarm:restart launch"},
			happening{started(12 * s), "running pid=7 starting => arm:probe:10s"},
		)},
		"NONE": {&pod.Health{Test: []string{"NONE"}}, []happening{
			{start(0), "created launching => disarm:restart launch"},
			{started(0), "running pid=7 =>"},
			{probed(1*s, 0), "running pid=7 =>"},
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			st := lifecycle.State{Run: pod.Run{State: pod.StateCreated}}
			for i, h := range test.events {
				next, effects := lifecycle.Next(pod.Container{Health: test.health}, st, h.event)
				if got := show(next, effects); got != h.want {
					t.Fatalf("event %d, %+v:\n%s, want\n%s", i+1, h.event, got, h.want)
				}
				st = next
			}
		})
	}
}

// TestProbesKept: the newest five, oldest first.
func TestProbesKept(t *testing.T) {
	c := pod.Container{Health: &pod.Health{Test: []string{"CMD", "true"}}}
	st := lifecycle.State{Run: pod.Run{State: pod.StateRunning}}
	for i := range 8 {
		st, _ = lifecycle.Next(c, st, probed(0, i))
	}
	var codes []int
	for _, p := range st.Run.Probes {
		codes = append(codes, p.ExitCode)
	}
	if fmt.Sprint(codes) != "[3 4 5 6 7]" {
		t.Errorf("%v", codes)
	}
}

func TestTimeout(t *testing.T) {
	if got := lifecycle.Timeout(&pod.Health{}); got != 30*s {
		t.Error(got)
	}
	if got := lifecycle.Timeout(&pod.Health{Timeout: 2 * s}); got != 2*s {
		t.Error(got)
	}
}

func TestReached(t *testing.T) {
	plain := pod.Container{Name: "web"}
	checked := pod.Container{Name: "web", Health: &pod.Health{Test: []string{"CMD", "true"}}}
	run := func(state pod.State, code int, health pod.HealthState) lifecycle.State {
		return lifecycle.State{Run: pod.Run{State: state, ExitCode: code, Health: health}}
	}
	launching := run(pod.StateExited, 1, "")
	launching.Launching = true
	broken := run(pod.StateExited, 127, "")
	broken.Run.Error = "no such program"
	sick := run(pod.StateRunning, 0, pod.HealthUnhealthy)
	sick.Run.Probes = []pod.Probe{{ExitCode: 2}, {ExitCode: 1, Output: " no route\n"}}
	oom := run(pod.StateExited, 137, "")
	oom.Run.OOMKilled = true

	const yes, no = "true <nil>", "false <nil>"
	const noStart = `false container "web" did not start: no such program`
	for name, test := range map[string]struct {
		c     pod.Container
		state lifecycle.State
		// What is said of started, healthy, completed, ready.
		want [4]string
	}{
		"created":        {plain, run(pod.StateCreated, 0, ""), [4]string{no, `false container "web" has no health check: give its service a healthcheck, or wait for service_started`, no, no}},
		"launching":      {plain, launching, [4]string{no, no, no, no}},
		"not startable":  {plain, broken, [4]string{noStart, noStart, noStart, noStart}},
		"running":        {plain, run(pod.StateRunning, 0, ""), [4]string{yes, `false container "web" has no health check: give its service a healthcheck, or wait for service_started`, no, yes}},
		"restarting":     {plain, run(pod.StateRestarting, 1, ""), [4]string{no, no, no, no}},
		"exited with 0":  {plain, run(pod.StateExited, 0, ""), [4]string{yes, `false container "web" exited with 0`, yes, yes}},
		"exited with 1":  {plain, run(pod.StateExited, 1, ""), [4]string{yes, `false container "web" exited with 1`, `false container "web" exited with 1`, `false container "web" exited with 1`}},
		"out of memory":  {plain, oom, [4]string{yes, `false container "web" was killed for want of memory (exit code 137)`, `false container "web" was killed for want of memory (exit code 137)`, `false container "web" was killed for want of memory (exit code 137)`}},
		"unwatched exit": {plain, run(pod.StateExited, pod.UnknownExit, ""), [4]string{yes, `false container "web" has ended while nothing watched it: its exit code is unknown`, `false container "web" has ended while nothing watched it: its exit code is unknown`, `false container "web" has ended while nothing watched it: its exit code is unknown`}},
		"starting":       {checked, run(pod.StateRunning, 0, pod.HealthStarting), [4]string{yes, no, no, no}},
		"healthy":        {checked, run(pod.StateRunning, 0, pod.HealthHealthy), [4]string{yes, yes, no, yes}},
		"unhealthy":      {checked, sick, [4]string{yes, `false container "web" is unhealthy: its last check exited with 1: no route`, no, `false container "web" is unhealthy: its last check exited with 1: no route`}},
		"paused":         {plain, run(pod.StatePaused, 0, ""), [4]string{yes, `false container "web" has no health check: give its service a healthcheck, or wait for service_started`, no, no}},
	} {
		for i, until := range []pod.Until{pod.UntilStarted, pod.UntilHealthy, pod.UntilCompleted, pod.UntilReady} {
			reached, err := lifecycle.Reached(test.c, test.state, until)
			if got := fmt.Sprint(reached, " ", err); got != test.want[i] {
				t.Errorf("%s, until %s: %s, want %s", name, until, got, test.want[i])
			}
		}
	}
}
