package planner

import (
	"fmt"
	"maps"
	"slices"

	"github.com/pcompose/pcompose/pod"
)

// Watch plans that files are watched in the background for a pod that is up.
func Watch(observed pod.Status, w pod.Watcher) (*Plan, error) {
	if !observed.Up {
		return nil, fmt.Errorf("cannot watch files for project %q: it is not up: leave --no-up out", observed.Name)
	}
	plan := &Plan{Project: observed.Name}
	plan.watch(observed, w)
	return plan, nil
}

// watch adds the step that has files watched, unless they are.
func (p *Plan) watch(observed pod.Status, w pod.Watcher, after ...int) {
	why := "asked to watch"
	if observed.Watcher != nil {
		if observed.Watcher.Key == w.Key {
			return
		}
		why = "what is watched has changed"
	}
	p.add(BeginWatch{Name: observed.Name, Watcher: w}, why, after...)
}

// Unwatch plans the end of a watch in the background.
func Unwatch(observed pod.Status) *Plan {
	plan := &Plan{Project: observed.Name}
	plan.unwatch(observed, "asked to end")
	return plan
}

// unwatch adds the end of a watch in the background, where there is one.
func (p *Plan) unwatch(observed pod.Status, why string) {
	if observed.Watcher != nil {
		p.add(EndWatch{observed.Name}, why)
	}
}

// beginWatch has files watched once the containers they go into run.
func beginWatch(u *up) {
	if u.opt.Watcher != nil && !u.opt.CreateOnly {
		u.plan.watch(u.observed, *u.opt.Watcher, append(slices.Sorted(maps.Values(u.startedBy)), u.portsDone)...)
	}
}
