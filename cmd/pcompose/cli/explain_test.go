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

func TestExplain(t *testing.T) {
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
	for _, tt := range []struct {
		err  error
		want string
	}{
		{wait("x-migrate-1", pod.UntilCompleted, `container "x-migrate-1" exited with 3`),
			"container \"x-migrate-1\" exited with 3: app waits for its good end (see: pcompose logs migrate)\nmigrate-1  | no table\nmigrate-1  | giving up"},
		{wait("x-db-1", pod.UntilHealthy, "db is unhealthy"), "db is unhealthy: a, b wait for its health (see: pcompose logs db)"},
		{wait("x-db-1", pod.UntilReady, "db is unhealthy"), "db is unhealthy (see: pcompose logs db)"},
		{wait("x-gone-1", pod.UntilReady, "gone"), "gone"},
		{errors.New("no route"), "no route"},
	} {
		x := explanation{spec, "pcompose", source}
		if got := x.explain(t.Context(), errors.Join(tt.err)); fmt.Sprint(got) != tt.want {
			t.Errorf("got\n%v\nwant\n%s", got, tt.want)
		}
	}
}
