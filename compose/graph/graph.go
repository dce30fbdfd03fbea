// Package graph is the order of services: which service waits for which, until what, and the cycles in it.
package graph

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

// Edge is one service waiting for another.
type Edge struct {
	// On is the service waited for.
	On string
	// Until is the condition as Compose names it: service_started, service_healthy, service_completed_successfully.
	Until string
	// Required false lets the waiting end when On is absent or fails.
	Required bool
	// Restart restarts the waiting service with On.
	Restart bool
}

// Graph has the enabled services of a project and what each waits for: depends_on, and the implicit waits that
// compose-go adds for links, volumes_from and the service: forms of network_mode, ipc, pid and uts.
type Graph struct {
	edges map[string][]Edge
}

// New reads the graph of a model, which it does not change. Waits for services that are not enabled are left out.
func New(model *types.Project) *Graph {
	g := &Graph{edges: map[string][]Edge{}}
	for name, service := range model.Services {
		var edges []Edge
		for _, on := range slices.Sorted(maps.Keys(service.DependsOn)) {
			if _, enabled := model.Services[on]; !enabled {
				continue
			}
			d := service.DependsOn[on]
			edges = append(edges, Edge{On: on, Until: d.Condition, Required: d.Required, Restart: d.Restart})
		}
		g.edges[name] = append(edges, joins(model, service, edges)...)
	}
	return g
}

// joins are the waits for services whose namespaces a service shares: what those restart with takes the namespaces away, so
// it restarts too. An edge that is there already is changed; container: naming a container of the project adds one.
func joins(model *types.Project, service types.ServiceConfig, edges []Edge) []Edge {
	var more []Edge
	for _, shared := range []string{service.Pid, service.Ipc, service.Uts} {
		on := Joined(model, shared)
		if on == "" {
			continue
		}
		if i := slices.IndexFunc(edges, func(e Edge) bool { return e.On == on }); i >= 0 {
			edges[i].Restart = true
		} else if !slices.ContainsFunc(more, func(e Edge) bool { return e.On == on }) {
			more = append(more, Edge{On: on, Until: types.ServiceConditionStarted, Required: true, Restart: true})
		}
	}
	return more
}

// Joined is the enabled service whose namespace a value of pid, ipc or uts means, "" for none of the project's.
func Joined(model *types.Project, value string) string {
	if on, ok := strings.CutPrefix(value, types.ServicePrefix); ok {
		if _, enabled := model.Services[on]; enabled {
			return on
		}
	}
	name, ok := strings.CutPrefix(value, types.ContainerPrefix)
	if !ok {
		return ""
	}
	for _, on := range slices.Sorted(maps.Keys(model.Services)) {
		// A replica is called project-service-number, with underscores under --compatibility.
		number, ours := strings.CutPrefix(strings.ReplaceAll(name, "_", "-"), strings.ReplaceAll(model.Name+"-"+on+"-", "_", "-"))
		if _, err := strconv.ParseUint(number, 10, 16); name == model.Services[on].ContainerName || ours && err == nil {
			return on
		}
	}
	return ""
}

// Services are all services, sorted by name.
func (g *Graph) Services() []string { return slices.Sorted(maps.Keys(g.edges)) }

// Waits are what a service waits for, sorted by name.
func (g *Graph) Waits(service string) []Edge { return g.edges[service] }

// Dependencies are the services named and all they wait for, however far, sorted.
func (g *Graph) Dependencies(services ...string) []string {
	return closure(services, func(s string) []string { return ons(g.edges[s]) })
}

// Dependents are the services named and all that wait for them, however far, sorted.
func (g *Graph) Dependents(services ...string) []string {
	back := map[string][]string{}
	for name, edges := range g.edges {
		for _, e := range edges {
			back[e.On] = append(back[e.On], name)
		}
	}
	return closure(services, func(s string) []string { return back[s] })
}

// Order has every service after all it waits for, by name where they are free. Services of a cycle, and those behind one, are left out.
func (g *Graph) Order() []string {
	var order []string
	done := map[string]bool{}
	for {
		var ready []string
		for _, name := range g.Services() {
			waits := slices.ContainsFunc(g.edges[name], func(e Edge) bool { return !done[e.On] })
			if !done[name] && !waits {
				ready = append(ready, name)
			}
		}
		if len(ready) == 0 {
			return order
		}
		for _, name := range ready {
			done[name] = true
		}
		order = append(order, ready...)
	}
}

// Cycle is a path of services that wait for each other; the last waits for the first.
type Cycle []string

// String is web -> api -> web.
func (c Cycle) String() string {
	return strings.Join(append(slices.Clone(c), c[0]), " -> ")
}

// Cycles are disjoint cycles, each starting with its first service by name; breaking them all may bring further ones to light.
func (g *Graph) Cycles() []Cycle {
	var cycles []Cycle
	state := map[string]int{}
	const visiting, visited = 1, 2
	var path []string
	var visit func(string) bool
	visit = func(name string) bool {
		state[name] = visiting
		path = append(path, name)
		found := false
		for _, e := range g.edges[name] {
			switch state[e.On] {
			case visiting:
				cycles = append(cycles, rotate(path[slices.Index(path, e.On):]))
				found = true
			case 0:
				found = visit(e.On)
			}
			if found {
				break
			}
		}
		path = path[:len(path)-1]
		state[name] = visited
		return found
	}
	for _, name := range g.Services() {
		if state[name] == 0 {
			visit(name)
		}
	}
	return cycles
}

// rotate starts a cycle with its first service by name, so that it reads the same from wherever it was found.
func rotate(cycle []string) Cycle {
	i := slices.Index(cycle, slices.Min(cycle))
	return slices.Concat(cycle[i:], cycle[:i])
}

func ons(edges []Edge) []string {
	names := make([]string, len(edges))
	for i, e := range edges {
		names[i] = e.On
	}
	return names
}

func closure(from []string, next func(string) []string) []string {
	seen := map[string]bool{}
	todo := slices.Clone(from)
	for len(todo) > 0 {
		s := todo[0]
		todo = todo[1:]
		if !seen[s] {
			seen[s] = true
			todo = append(todo, next(s)...)
		}
	}
	return slices.Sorted(maps.Keys(seen))
}
