package planner_test

import (
	"testing"

	"github.com/pcompose/pcompose/planner"
	"github.com/pcompose/pcompose/pod"
)

func TestWatch(t *testing.T) {
	web := pod.Container{Name: "shop-web-1", Service: "web", Replica: 1, Image: "web", Cell: pod.DefaultCell}
	spec := pod.Spec{Name: "shop", Cells: []pod.Cell{{Name: pod.DefaultCell}}, Containers: []pod.Container{web}}
	watcher := pod.Watcher{Key: "a", Services: []string{"web"}}
	none := pod.Status{Name: "shop", Images: map[string]pod.Image{"web": {ID: "1"}}}
	opt := planner.UpOptions{Watcher: &watcher}
	up := func(observed pod.Status) string {
		plan, err := planner.Up(spec, observed, opt)
		if err != nil {
			t.Fatal(err)
		}
		return plan.String()
	}
	if got, want := up(none), "[] -> #1 pod/shop create: not running\n[] -> #2 container/shop-web-1 create: does not exist\n"+
		"[1 2] -> #3 container/shop-web-1 start: created\n[1 3] -> #4 pod/shop watch web: asked to watch\n"; got != want {
		t.Errorf("up:\n%swant\n%s", got, want)
	}
	first, err := planner.Up(spec, none, opt)
	if err != nil {
		t.Fatal(err)
	}
	running := pod.Status{
		Name: "shop", Up: true, Spec: &spec, Images: none.Images, Topology: first.Steps[0].Action.(planner.CreateSandbox).Topology,
		Containers: []pod.ContainerStatus{{Container: web, ID: "x", ImageID: "1", Run: pod.Run{State: pod.StateRunning}}},
		Watcher:    &pod.WatcherStatus{Key: "a"},
	}
	if got := up(running); got != "" {
		t.Errorf("again:\n%s", got)
	}
	watcher.Key = "b"
	if got, want := up(running), "[] -> #1 pod/shop watch web: what is watched has changed\n"; got != want {
		t.Errorf("changed:\n%swant\n%s", got, want)
	}
	for what, c := range map[string]struct{ got, want string }{
		"stop":         {planner.Stop(running, nil, nil).String(), "[] -> #1 pod/shop unwatch: asked to stop\n[] -> #2 container/shop-web-1 stop: asked to stop\n"},
		"stop named":   {planner.Stop(running, []string{"web"}, nil).String(), "[] -> #1 container/shop-web-1 stop: asked to stop\n"},
		"unwatch":      {planner.Unwatch(running).String(), "[] -> #1 pod/shop unwatch: asked to end\n"},
		"unwatch none": {planner.Unwatch(none).String(), ""},
	} {
		if c.got != c.want {
			t.Errorf("%s:\n%swant\n%s", what, c.got, c.want)
		}
	}
	if _, err := planner.Watch(none, watcher); err == nil {
		t.Error("a pod that is down can be watched")
	}
}
