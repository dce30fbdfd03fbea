package planner

import (
	"slices"

	"github.com/pcompose/pcompose/pod"
)

// preStart adds the pre_start hooks of a container that is to start, one after the other behind what its start waits for, and
// returns the end of the last; 0 for none. One that serves all replicas runs once.
func preStart(u *up, f *fate, after, past []int) int {
	last := 0
	for _, h := range f.want.PreStart {
		if u.startedBy[h.Name] == 0 {
			why := h.Hook + " of " + f.want.Service
			h.Cell = f.want.Cell
			made := append(u.ingredients(&fate{want: h}), u.removedBy[h.Name])
			h.VolumesFrom = slices.Clone(h.VolumesFrom)
			for i, from := range h.VolumesFrom {
				if giver := u.fates[from.Container]; giver != nil && giver.turn == startFirst {
					h.VolumesFrom[i].Container = pod.SuccessorName(from.Container)
				}
				made = append(made, u.createdBy[h.VolumesFrom[i].Container])
			}
			created := u.plan.add(CreateContainer{Container: h}, why, made...)
			started := u.plan.add(StartContainer{Name: h.Name}, why, append(slices.Clone(after), created, last)...)
			u.plan.past(past...)
			u.startedBy[h.Name] = u.plan.add(WaitContainer{Name: h.Name, Until: pod.UntilCompleted, Required: true}, f.want.Service+" starts after it", started)
		}
		last = u.startedBy[h.Name]
	}
	return last
}

// removeHooks removes the containers of pre_start hooks that earlier starts left, where they are run again or wanted no more.
func removeHooks(u *up) {
	for _, name := range reverseOrder(u.observed.Containers) {
		c, _ := u.observed.Container(name)
		why := whyEndHook(u, c)
		if why == "" {
			continue
		}
		stopped := 0
		if c.Run.State.Alive() {
			stopped = u.plan.stop(c, u.grace(c.Stop), why, u.pulls...)
		}
		u.removedBy[name] = u.plan.remove(c, true, why, append(slices.Clone(u.pulls), stopped)...)
	}
}

// whyEndHook says why the container of a hook is removed, "" for one that stays, and for other containers.
func whyEndHook(u *up, c pod.ContainerStatus) string {
	if c.Hook == "" {
		return ""
	}
	used := false
	for _, name := range u.names {
		f := u.fates[name]
		if !slices.ContainsFunc(f.want.PreStart, func(h pod.Container) bool { return h.Name == c.Name }) {
			continue
		}
		if used = true; f.start != "" && !u.opt.CreateOnly || f.replace != "" {
			return c.Hook + " is of an earlier start"
		}
	}
	switch {
	case u.asFound || used:
		return ""
	case u.services[c.Service]:
		return "service " + c.Service + " has no such pre_start any more"
	case u.opt.RemoveOrphans && !u.desired.Has(c.Service):
		return "the file has no service " + c.Service
	}
	return ""
}
