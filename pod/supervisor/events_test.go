package supervisor

import (
	"fmt"
	"testing"
	"time"

	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/lifecycle"
)

func TestChanges(t *testing.T) {
	at := time.Unix(1000, 0)
	run := pod.Run{State: pod.StateRunning, PID: 7, StartedAt: at}
	end := pod.Run{State: pod.StateExited, StartedAt: at, FinishedAt: at.Add(11 * time.Second), ExitCode: 3}
	oom, paused, healthy := end, run, run
	oom.OOMKilled, oom.ExitCode, paused.State, healthy.Health = true, 137, pod.StatePaused, pod.HealthHealthy
	starting := run
	starting.Health = pod.HealthStarting
	for _, test := range []struct {
		before, after lifecycle.State
		want          string
	}{
		{lifecycle.State{}, lifecycle.State{Launching: true}, "[]"},
		{lifecycle.State{Launching: true}, lifecycle.State{Run: run}, "[[start]]"},
		{lifecycle.State{Run: run}, lifecycle.State{Run: end}, "[[die execDuration 11 exitCode 3]]"},
		{lifecycle.State{Run: run, Stopping: true}, lifecycle.State{Run: end}, "[[die execDuration 11 exitCode 3] [stop]]"},
		{lifecycle.State{Run: run}, lifecycle.State{Run: oom}, "[[oom] [die execDuration 11 exitCode 137]]"},
		{lifecycle.State{Run: run}, lifecycle.State{Run: paused}, "[[pause]]"},
		{lifecycle.State{Run: paused}, lifecycle.State{Run: run}, "[[unpause]]"},
		{lifecycle.State{Run: starting}, lifecycle.State{Run: healthy}, "[[health_status: healthy]]"},
		{lifecycle.State{Run: run}, lifecycle.State{Run: starting}, "[]"},
	} {
		if got := fmt.Sprint(changes(test.before, test.after)); got != test.want {
			t.Errorf("%s, want %s", got, test.want)
		}
	}
}
