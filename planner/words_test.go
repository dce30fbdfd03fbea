package planner

import (
	"reflect"
	"testing"

	"github.com/pcompose/pcompose/pod"
)

// TestPartWords: every part of isolation and limits has the name it has in a Compose file.
func TestPartWords(t *testing.T) {
	for _, group := range []reflect.Type{reflect.TypeFor[pod.Isolation](), reflect.TypeFor[pod.Resources]()} {
		for i := range group.NumField() {
			if name := group.Field(i).Name; partWords()[name] == "" {
				t.Errorf("%s.%s has no name", group.Name(), name)
			}
		}
	}
}

// TestPartChanged: a change of a part replaces the container and names the key, once.
func TestPartChanged(t *testing.T) {
	want, have := pod.Container{}, pod.Container{}
	want.Isolation = pod.Isolation{PID: pod.NamespaceHost, Seccomp: "unconfined", Unmask: []string{"ALL"}}
	want.Resources.BlockIO.Weight, want.Runtime, want.Storage = 10, "runc", map[string]string{"size": "1g"}
	have.Resources.Memory = 1 << 30
	got := whyReplace(want, pod.ContainerStatus{Container: have}, nil)
	if got != "pid, security_opt, blkio_config, mem_limit, runtime, storage_opt changed" {
		t.Error(got)
	}
}

// TestLacking: what the machine lacks is said before any step, and only where the container would be made.
func TestLacking(t *testing.T) {
	c := pod.Container{Name: "p-a-1", Service: "a", Image: "i", Cell: pod.DefaultCell}
	desired := pod.Spec{Name: "p", Containers: []pod.Container{c}}
	observed := pod.Status{Name: "p", Lacking: map[string]string{"p-a-1": "no CDI device v/c=x"}}
	_, err := Up(desired, observed, UpOptions{})
	if err == nil || err.Error() != `cannot create container "p-a-1": no CDI device v/c=x` {
		t.Error(err)
	}
	observed.Containers = []pod.ContainerStatus{{Container: c, Run: pod.Run{State: pod.StateRunning}}}
	if _, err := Up(desired, observed, UpOptions{}); err != nil {
		t.Error(err)
	}
}
