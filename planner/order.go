package planner

import (
	"slices"
	"strings"

	"github.com/pcompose/pcompose/pod"
)

// startOrder is the containers' names, each after those it depends on; names decide among equals. A cycle,
// which compose/load refuses before, is cut at its last name.
func startOrder(containers []pod.Container) []string {
	byService := map[string][]pod.Container{}
	for _, c := range containers {
		byService[c.Service] = append(byService[c.Service], c)
	}
	var order []string
	seen := map[string]bool{}
	var visit func(c pod.Container)
	visit = func(c pod.Container) {
		if seen[c.Name] {
			return
		}
		seen[c.Name] = true
		for _, d := range c.After {
			for _, on := range byService[d.On] {
				visit(on)
			}
		}
		order = append(order, c.Name)
	}
	sorted := slices.Clone(containers)
	slices.SortFunc(sorted, func(a, b pod.Container) int { return strings.Compare(a.Name, b.Name) })
	for _, c := range sorted {
		visit(c)
	}
	return order
}

// reverseOrder is the order in which observed containers are stopped: dependents first.
func reverseOrder(observed []pod.ContainerStatus) []string {
	containers := make([]pod.Container, len(observed))
	for i, c := range observed {
		containers[i] = c.Container
	}
	order := startOrder(containers)
	slices.Reverse(order)
	return order
}

// takesFrom says whether a container has the volumes of another.
func takesFrom(c pod.Container, name string) bool {
	return slices.ContainsFunc(c.VolumesFrom, func(f pod.VolumesFrom) bool { return f.Container == name })
}

// givingOrder is the names of the chosen containers, each after those whose volumes it has.
func givingOrder(ch *choice) []string {
	var order []string
	seen := map[string]bool{}
	var visit func(name string)
	visit = func(name string) {
		f := ch.fates[name]
		if f == nil || seen[name] {
			return
		}
		seen[name] = true
		for _, from := range f.want.VolumesFrom {
			visit(from.Container)
		}
		order = append(order, name)
	}
	for _, name := range ch.names {
		visit(name)
	}
	return order
}

// dependsOn says whether a container waits for a service.
func dependsOn(c pod.Container, service string) bool {
	return slices.ContainsFunc(c.After, func(d pod.Dependency) bool { return d.On == service })
}
