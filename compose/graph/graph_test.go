package graph

import (
	"fmt"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
)

// model reads "web: api db" lines; every service named on the left exists.
func model(text string) *types.Project {
	p := &types.Project{Services: types.Services{}}
	for line := range strings.Lines(text) {
		name, waits, _ := strings.Cut(strings.TrimSpace(line), ":")
		s := types.ServiceConfig{Name: name}
		s.DependsOn = types.DependsOnConfig{}
		for _, on := range strings.Fields(waits) {
			s.DependsOn[on] = types.ServiceDependency{Condition: types.ServiceConditionHealthy, Required: true, Restart: true}
		}
		p.Services[name] = s
	}
	return p
}

func TestGraph(t *testing.T) {
	g := New(model("web: api cache gone\napi: db\ndb:\ncache:\nother:"))
	for _, c := range []struct{ what, got, want string }{
		{"services", fmt.Sprint(g.Services()), "[api cache db other web]"},
		{"waits", fmt.Sprint(g.Waits("web")), "[{api service_healthy true true} {cache service_healthy true true}]"},
		{"dependencies", fmt.Sprint(g.Dependencies("web")), "[api cache db web]"},
		{"dependencies of none", fmt.Sprint(g.Dependencies()), "[]"},
		{"dependents", fmt.Sprint(g.Dependents("db")), "[api db web]"},
		{"dependents of two", fmt.Sprint(g.Dependents("cache", "other")), "[cache other web]"},
		{"order", fmt.Sprint(g.Order()), "[cache db other api web]"},
		{"cycles", fmt.Sprint(g.Cycles()), "[]"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %s, want %s", c.what, c.got, c.want)
		}
	}
}

func TestCycles(t *testing.T) {
	for _, c := range []struct{ model, want string }{
		{"a: a", "a -> a"},
		{"web: api\napi: web", "api -> web -> api"},
		{"c: a\na: b\nb: c", "a -> b -> c -> a"},
		{"x: a\na: b\nb: a", "a -> b -> a"},
		{"a: b\nb: a\nc: d\nd: c\ne: a c", "a -> b -> a, c -> d -> c"},
		{"a: b c\nb: d\nc: d\nd:", ""},
	} {
		g := New(model(c.model))
		var got []string
		for _, cycle := range g.Cycles() {
			got = append(got, cycle.String())
		}
		if s := strings.Join(got, ", "); s != c.want {
			t.Errorf("%q: %s, want %s", c.model, s, c.want)
		}
		if left := len(g.Services()) - len(g.Order()); (left > 0) != (c.want != "") {
			t.Errorf("%q: %d services are left out of the order", c.model, left)
		}
	}
}

func TestNewLeavesTheModel(t *testing.T) {
	p := model("a: b gone\nb:")
	New(p)
	if len(p.Services["a"].DependsOn) != 2 {
		t.Error("the model was changed")
	}
}
