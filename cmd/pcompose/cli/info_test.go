package cli

import (
	"testing"
	"time"

	"github.com/pcompose/pcompose/pod"
)

// TestCountPods counts a pod as running while a container of it runs or is paused.
func TestCountPods(t *testing.T) {
	status := func(states ...pod.State) pod.Status {
		var s pod.Status
		for _, state := range states {
			s.Containers = append(s.Containers, pod.ContainerStatus{Run: pod.Run{State: state}})
		}
		return s
	}
	pods, containers := countPods([]pod.Status{
		status(pod.StateRunning, pod.StateExited), status(pod.StatePaused), status(pod.StateExited, pod.StateCreated), status(),
	})
	if want := (podsInfo{Number: 4, Running: 2}); pods != want {
		t.Errorf("pods %+v, want %+v", pods, want)
	}
	if want := (countInfo{Number: 5, Running: 1, Paused: 1, Stopped: 3}); containers != want {
		t.Errorf("containers %+v, want %+v", containers, want)
	}
}

func TestUptime(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0h 0m 0.00s (Approximately 0.00 days)",
		50*time.Hour + 61*time.Second + 40*time.Millisecond: "50h 1m 1.04s (Approximately 2.08 days)",
	} {
		if got := uptime(d); got != want {
			t.Errorf("uptime(%v) = %q, want %q", d, got, want)
		}
	}
}

// TestDescribeVersion gives the version as podman has it: without the v of tags, and the time of the commit twice.
func TestDescribeVersion(t *testing.T) {
	v := describeVersion(Build{Version: "v1.2.3", Commit: "abc", Date: "2026-11-22T07:08:11+01:00"})
	if v.Version != "1.2.3" || v.GitCommit != "abc" || v.Built != 1795327691 || v.BuiltTime != "Sun Nov 22 06:08:11 2026" {
		t.Errorf("%+v", v)
	}
	if v := describeVersion(Build{Version: "devel"}); v.Built != 0 || v.BuiltTime != "" {
		t.Errorf("an unknown time is %+v", v)
	}
}
