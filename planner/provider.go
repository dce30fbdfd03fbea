package planner

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pcompose/pcompose/pod"
)

// Provide plans the runs of the providers that an Up with these options begins with. Once they have been carried out, and
// the pod is observed again, Up with Provided plans the rest: it then knows what the containers get from them.
func Provide(desired pod.Spec, observed pod.Status, opt UpOptions) *Plan {
	u := newUp(newChoice(desired, observed, opt))
	u.plan.Notes = nil
	runProviders(u)
	return u.plan
}

// ProvideRun is Provide for a Run of a container.
func ProvideRun(desired pod.Spec, c pod.Container, observed pod.Status, opt RunOptions) *Plan {
	return Provide(desired, observed, UpOptions{Services: runNeeds(desired, c, opt)})
}

// runProviders adds the runs of the providers selected, each after those it waits for. They are run by each up: only their
// programs know whether there is something to do.
func runProviders(u *up) {
	if u.opt.Provided {
		return
	}
	for _, p := range providersOf(u.choice) {
		after := slices.Clone(u.pulls)
		for _, on := range p.After {
			after = append(after, u.provided[on])
		}
		why := "only its program knows whether it is up"
		if !isUp(u.observed, p.Service) {
			why = "not up yet"
		}
		u.provided[p.Service] = u.plan.add(RunProvider{p, ProviderUp}, why, after...)
	}
}

// leaveProviders takes down the providers that the file has no more, where orphans are to go, behind the stops of the
// containers that leave; else it notes them.
func leaveProviders(u *up) {
	for _, p := range slices.Backward(u.observed.Providers) {
		switch {
		case u.asFound || u.desired.Has(p.Service):
		case u.opt.RemoveOrphans:
			u.plan.add(RunProvider{p.Provider, ProviderDown}, fmt.Sprintf("the file has no service %s", p.Service), slices.Collect(maps.Values(u.removedBy))...)
		case !u.opt.IgnoreOrphans:
			u.plan.note("service %s, which the file does not have, is up by its provider %s: --remove-orphans takes it down", p.Service, p.Type)
		}
	}
}

// isUp says whether a provider is up.
func isUp(observed pod.Status, service string) bool {
	return slices.ContainsFunc(observed.Providers, func(p pod.ProviderStatus) bool { return p.Service == service })
}

// providersOf are the selected providers, each after those it waits for.
func providersOf(ch *choice) []pod.Provider {
	if ch.asFound {
		return nil
	}
	return inOrder(slices.DeleteFunc(slices.Clone(ch.desired.Providers), func(p pod.Provider) bool { return !ch.services[p.Service] }))
}

// inOrder is providers, each after those it waits for; names decide among equals.
func inOrder(providers []pod.Provider) []pod.Provider {
	var order []pod.Provider
	seen := map[string]bool{}
	var visit func(service string)
	visit = func(service string) {
		i := slices.IndexFunc(providers, func(p pod.Provider) bool { return p.Service == service })
		if i < 0 || seen[service] {
			return
		}
		seen[service] = true
		for _, on := range providers[i].After {
			visit(on)
		}
		order = append(order, providers[i])
	}
	for _, p := range providers {
		visit(p.Service)
	}
	return order
}

// provided is a pod whose containers have the variables of the providers they depend on, as far as these are known, and
// what of the containers' own those replace. The variables are over those of the file, as in docker compose.
func provided(desired pod.Spec, observed pod.Status) (pod.Spec, []string) {
	if len(observed.Providers) == 0 || len(desired.Providers) == 0 {
		return desired, nil
	}
	var notes []string
	desired.Containers = slices.Clone(desired.Containers)
	for i := range desired.Containers {
		c := &desired.Containers[i]
		notes = append(notes, provide(c, desired, observed)...)
		c.PreStart = slices.Clone(c.PreStart)
		for j := range c.PreStart {
			c.PreStart[j].After = c.After
			provide(&c.PreStart[j], desired, observed)
			c.PreStart[j].After = nil
		}
	}
	slices.Sort(notes)
	return desired, slices.Compact(notes)
}

// provide fills one container's environment, which it does not share.
func provide(c *pod.Container, desired pod.Spec, observed pod.Status) (notes []string) {
	for _, p := range observed.Providers {
		if !dependsOn(*c, p.Service) || !desired.Provides(p.Service) {
			continue
		}
		if c.Env = maps.Clone(c.Env); c.Env == nil {
			c.Env = map[string]string{}
		}
		for key, value := range p.Variables {
			c.Env[strings.ToUpper(p.Service)+"_"+key] = value
		}
		for _, key := range slices.Sorted(maps.Keys(p.Raw)) {
			if old, set := c.Env[key]; set && old != p.Raw[key] {
				notes = append(notes, fmt.Sprintf("provider %s overrides the environment variable %q of service %s", p.Service, key, c.Service))
			}
			c.Env[key] = p.Raw[key]
		}
	}
	return notes
}

// downProviders adds the end of the providers of the file and the pod, those that wait for others first, behind the steps
// after, and says whether others stay up.
func (o DownOptions) downProviders(plan *Plan, desired *pod.Spec, observed pod.Status, after []int) (steps []int, stay bool) {
	all := map[string]pod.Provider{}
	for _, p := range observed.Providers {
		all[p.Service] = p.Provider
	}
	if desired != nil {
		for _, p := range desired.Providers {
			all[p.Service] = p
		}
	}
	for service := range all {
		if o.Services != nil && !slices.Contains(o.Services, service) {
			delete(all, service)
			stay = stay || slices.ContainsFunc(observed.Providers, func(p pod.ProviderStatus) bool { return p.Service == service })
		}
	}
	return plan.endProviders(slices.Collect(maps.Values(all)), RunProvider{Command: ProviderDown}, "asked to end", after), stay
}

// endProviders adds a command of providers, those that wait for others first, behind the steps after.
func (p *Plan) endProviders(providers []pod.Provider, action RunProvider, why string, after []int) []int {
	slices.SortFunc(providers, func(a, b pod.Provider) int { return strings.Compare(a.Service, b.Service) })
	ended := map[string]int{}
	var steps []int
	for _, one := range slices.Backward(inOrder(providers)) {
		behind := slices.Clone(after)
		for _, other := range providers {
			if slices.Contains(other.After, one.Service) {
				behind = append(behind, ended[other.Service])
			}
		}
		action.Provider = one
		ended[one.Service] = p.add(action, why, behind...)
		steps = append(steps, ended[one.Service])
	}
	return steps
}

// stopProviders adds the stop of the named providers (nil: all) that can be stopped, behind the steps after.
func (p *Plan) stopProviders(observed pod.Status, services []string, after []int) {
	var stopping []pod.Provider
	for _, one := range observed.Providers {
		if one.Stops && (services == nil || slices.Contains(services, one.Service)) {
			stopping = append(stopping, one.Provider)
		}
	}
	p.endProviders(stopping, RunProvider{Command: ProviderStop}, "asked to stop", after)
}
