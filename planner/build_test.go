package planner

import (
	"strings"
	"testing"

	"github.com/pcompose/pcompose/pod"
)

// built is a pod of two services, web made of base, whose images are built.
func built(web pod.Container) pod.Spec {
	web.Name, web.Service, web.Cell = "p-web-1", "web", pod.DefaultCell
	return pod.Spec{
		Name: "p", Cells: []pod.Cell{{Name: pod.DefaultCell}}, Containers: []pod.Container{web},
		Builds: []pod.Build{
			{Services: []string{"base"}, Tags: []string{"p-base"}, Unnamed: []string{"p-base"}},
			{Services: []string{"web"}, Tags: []string{web.Image}, After: []string{"base"}},
		},
	}
}

// TestBuild plans what is missing, what the policy wants and what is asked for, in the order of what is made of what.
func TestBuild(t *testing.T) {
	have := map[string]pod.Image{"web": {ID: "1"}, "p-base": {ID: "2"}}
	for name, c := range map[string]struct {
		web    pod.Container
		images map[string]pod.Image
		opt    UpOptions
		want   string
	}{
		"missing":     {pod.Container{Image: "web"}, nil, UpOptions{}, "p-base build: image web is made of it\nweb build unless its registry has it: not in the store"},
		"base there":  {pod.Container{Image: "web"}, map[string]pod.Image{"p-base": {ID: "2"}}, UpOptions{}, "web build unless its registry has it: not in the store"},
		"never":       {pod.Container{Image: "web", Pull: pod.PullNever}, map[string]pod.Image{"p-base": {ID: "2"}}, UpOptions{}, "web build: not in the store"},
		"there":       {pod.Container{Image: "web"}, have, UpOptions{}, ""},
		"asked":       {pod.Container{Image: "web"}, have, UpOptions{Build: BuildAll}, "p-base build: image web is made of it\nweb build: asked to build"},
		"policy":      {pod.Container{Image: "web", Pull: pod.PullBuild}, have, UpOptions{}, "p-base build: image web is made of it\nweb build: its pull policy is build"},
		"none":        {pod.Container{Image: "web"}, nil, UpOptions{Build: BuildNone}, ""},
		"built":       {pod.Container{Image: "web"}, have, UpOptions{Build: BuildAll, Built: true}, ""},
		"not started": {pod.Container{Image: "web"}, have, UpOptions{CreateOnly: true}, ""},
	} {
		plan, err := Build(built(c.web), pod.Status{Name: "p", Images: c.images}, c.opt)
		if err != nil {
			t.Fatal(name, err)
		}
		var lines []string
		for _, s := range plan.Steps {
			_, line, _ := strings.Cut(s.String(), "image/")
			lines = append(lines, line)
		}
		if got := strings.Join(lines, "\n"); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, c.want)
		}
	}
}

// TestBuildCircle refuses images that are made of each other.
func TestBuildCircle(t *testing.T) {
	spec := built(pod.Container{Image: "web"})
	spec.Builds[0].After = []string{"web"}
	if _, err := BuildServices(spec, nil); err == nil || !strings.Contains(err.Error(), "of itself") {
		t.Errorf("got %v", err)
	}
}
