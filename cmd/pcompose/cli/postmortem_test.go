package cli

import (
	"errors"
	"fmt"
	"testing"

	"github.com/pcompose/pcompose/engine/execute"
	"github.com/pcompose/pcompose/planner"
	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/logs"
)

func TestPostMortem(t *testing.T) {
	waits := func(service, on string, until pod.Until) pod.Container {
		return pod.Container{Name: "x-" + service + "-1", Service: service, After: []pod.Dependency{{On: on, Until: until}}}
	}
	spec := pod.Spec{Name: "x", Containers: []pod.Container{
		{Name: "x-migrate-1", Service: "migrate"}, waits("app", "migrate", pod.UntilCompleted),
		{Name: "x-db-1", Service: "db"}, waits("b", "db", pod.UntilHealthy), waits("a", "db", pod.UntilHealthy), waits("c", "db", pod.UntilStarted),
	}}
	source := &fakeSource{lines: map[string][]logs.Line{"x-migrate-1": {written(1, "no table"), written(2, "giving up")}}}
	wait := func(name string, until pod.Until, text string) error {
		return &execute.StepError{Step: planner.Step{Action: planner.WaitContainer{Name: name, Until: until}}, Err: errors.New(text)}
	}
	begun := pod.Run{State: pod.StateRunning, StartedAt: at(1)}
	now := pod.Status{Name: "x", Containers: []pod.ContainerStatus{
		status("x-migrate-1", pod.Run{State: pod.StateExited, ExitCode: 3, StartedAt: at(1)}), status("x-db-1", begun), status("x-a-1", begun), status("x-b-1", pod.Run{State: pod.StateCreated}),
	}}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{wait("x-migrate-1", pod.UntilCompleted, `container "x-migrate-1" exited with 3`),
			"container \"x-migrate-1\" exited with 3: app waits for its good end (see: pcompose logs migrate)\nmigrate-1  | no table\nmigrate-1  | giving up\nleft running: x-db-1, x-a-1 (pcompose down ends them)"},
		{wait("x-db-1", pod.UntilHealthy, "db is unhealthy"), "db is unhealthy: a, b wait for its health (see: pcompose logs db)\nleft running: x-a-1 (pcompose down ends them)"},
		{wait("x-db-1", pod.UntilReady, "db is unhealthy"), "db is unhealthy (see: pcompose logs db)\nleft running: x-a-1 (pcompose down ends them)"},
		{wait("x-gone-1", pod.UntilReady, "gone"), "gone"},
		{errors.New("no route"), "no route"},
	} {
		p := postMortem{spec: spec, command: "pcompose", source: source, now: now}
		if got := p.report(t.Context(), errors.Join(errors.Join(tt.err), nil)); fmt.Sprint(got) != tt.want {
			t.Errorf("got\n%v\nwant\n%s", got, tt.want)
		}
	}
}

func TestPostMortemOfAWaitThatWasTooLong(t *testing.T) {
	run := func(state pod.State, code int) pod.Run {
		return pod.Run{State: state, ExitCode: code, StartedAt: at(1)}
	}
	sick := run(pod.StateRunning, 0)
	sick.Health, sick.Probes = pod.HealthStarting, []pod.Probe{{ExitCode: 1, Output: "no answer\n"}}
	loop := run(pod.StateRestarting, 139)
	loop.Restarts = 2
	waits := status("x-web-1", pod.Run{State: pod.StateCreated})
	waits.After = []pod.Dependency{{On: "db", Until: pod.UntilHealthy}}
	now := pod.Status{Name: "x", Containers: []pod.ContainerStatus{
		status("x-db-1", sick), status("x-loop-1", loop), waits, status("x-job-1", run(pod.StateExited, 0)), status("x-ok-1", run(pod.StateRunning, 0)),
	}}
	plan := &planner.Plan{}
	for i, name := range []string{"x-db-1", "x-loop-1", "x-web-1", "x-job-1", "x-ok-1"} {
		plan.Steps = append(plan.Steps, planner.Step{ID: i + 1, Action: planner.WaitContainer{Name: name, Until: pod.UntilReady}})
	}
	late := waitedTooLong{"5s"}
	failure := errors.Join(&execute.StepError{Step: plan.Steps[0], Err: late}, &execute.StepError{Step: plan.Steps[1], Err: late})
	source := &fakeSource{lines: map[string][]logs.Line{"x-loop-1": {written(1, "segfault")}}}
	got := postMortem{spec: pod.Spec{Name: "x"}, command: "pcompose", source: source, now: now, plan: plan}.report(t.Context(), failure)
	want := `container "x-db-1" is not ready after 5s: it runs, its health is starting; its last check exited with 1: no answer
container "x-loop-1" is not ready after 5s: it ended with exit code 139 (SIGSEGV) and is restarted, the 3rd time
loop-1  | segfault
container "x-web-1" is not ready after 5s: it was not started, as it waits for db (healthy)
left running: x-ok-1 (pcompose down ends them)`
	if got.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", got, want)
	}
}

func TestOrdinal(t *testing.T) {
	for n, want := range map[int]string{1: "1st", 2: "2nd", 3: "3rd", 4: "4th", 11: "11th", 13: "13th", 21: "21st", 112: "112th"} {
		if got := ordinal(n); got != want {
			t.Errorf("%d: got %s", n, got)
		}
	}
}
