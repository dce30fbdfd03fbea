package planner

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pcompose/pcompose/pod"
)

// Diverged are the volumes that Up could make anew because they are not as the file has them any more, with what is in
// them lost: of those that the selected containers mount and the project has made. Up does so for those that
// UpOptions.RecreateVolumes names, and says of the others that they stay.
func Diverged(desired pod.Spec, observed pod.Status, opt UpOptions) []string {
	ch := newChoice(desired, observed, opt)
	var names []string
	for _, v := range desired.Volumes {
		if ch.divergence(v) != "" && stranger(ch, v.Name) == "" {
			names = append(names, v.Name)
		}
	}
	return names
}

// divergence says how a volume that the project has made differs from what the file has, "" for not.
func (ch *choice) divergence(want pod.Volume) string {
	have, made := ch.observed.MadeAs[want.Name]
	mounted := slices.ContainsFunc(ch.names, func(name string) bool { return mountsVolume(ch.fates[name].want.Mounts, want.Name) })
	if !made || !mounted || want.External || have.Labels[pod.LabelProject] != want.Labels[pod.LabelProject] {
		return ""
	}
	var differs []string
	if changed := changedKeys(want.DriverOpts, have.DriverOpts); len(changed) > 0 {
		differs = append(differs, "driver_opts "+strings.Join(changed, " "))
	}
	if changed := changedKeys(own(want.Labels), own(have.Labels)); len(changed) > 0 {
		differs = append(differs, "labels "+strings.Join(changed, " "))
	}
	return strings.Join(differs, ", ")
}

// own are the labels that the user has given.
func own(labels map[string]string) map[string]string {
	labels = maps.Clone(labels)
	for _, ours := range []string{pod.LabelProject, pod.LabelVolume, pod.LabelVersion, pod.LabelConfigHash} {
		delete(labels, ours)
	}
	return labels
}

// stranger is a container that has a volume and is none of the selected, "" for none: the volume stays for it.
func stranger(ch *choice, volume string) string {
	for _, c := range ch.observed.Containers {
		if ch.fates[c.Name] == nil && mountsVolume(slices.Concat(c.Mounts, c.Taken), volume) {
			return c.Name
		}
	}
	return ""
}

// recreated says whether a volume is made anew.
func (ch *choice) recreated(v pod.Volume) bool {
	return slices.Contains(ch.opt.RecreateVolumes, v.Name) && ch.divergence(v) != "" && stranger(ch, v.Name) == ""
}

// onRecreated is the reason to replace a container that has a volume that is made anew, "" for none.
func onRecreated(ch *choice, f *fate) string {
	for _, v := range ch.desired.Volumes {
		if mountsVolume(slices.Concat(f.have.Mounts, f.have.Taken), v.Name) && ch.recreated(v) {
			return fmt.Sprintf("volume %s is made anew", v.Name)
		}
	}
	return ""
}

// recreateVolumes removes and makes anew what was chosen, once no container has it, and notes what stays as it is.
func (u *up) recreateVolumes() {
	for _, v := range u.desired.Volumes {
		u.noteOwner(v)
		how := u.divergence(v)
		if how == "" {
			continue
		}
		if !u.recreated(v) {
			remedy := "-y makes it anew, and what is in it is lost"
			if c := stranger(u.choice, v.Name); c != "" {
				remedy = fmt.Sprintf("container %s, which stays, has it", c)
			}
			u.plan.note("volume %s exists but doesn't match configuration in compose file (%s changed) and stays as it is: %s", v.Name, how, remedy)
			continue
		}
		var after []int
		for _, c := range u.observed.Containers {
			if mountsVolume(slices.Concat(c.Mounts, c.Taken), v.Name) {
				after = append(after, u.removedBy[c.Name])
			}
		}
		removed := u.plan.add(RemoveVolume{v.Name}, how+" changed", append(after, u.pulls...)...)
		u.plan.loses(fmt.Sprintf("the data in volume %s", v.Name))
		u.made[v.Name] = u.plan.add(CreateVolume{v}, how+" changed", removed)
	}
}

// noteOwner says of a volume that somebody else has made that the file should call it external.
func (u *up) noteOwner(v pod.Volume) {
	have, made := u.observed.MadeAs[v.Name]
	mounted := slices.ContainsFunc(u.names, func(name string) bool { return mountsVolume(u.fates[name].want.Mounts, v.Name) })
	if !made || !mounted || v.External {
		return
	}
	switch want, is := v.Labels[pod.LabelProject], have.Labels[pod.LabelProject]; {
	case is == want:
	case is == "":
		u.plan.note("volume %s already exists but was not created by pcompose: use `external: true` to use an existing volume", v.Name)
	default:
		u.plan.note("volume %s already exists but was created for project %s (expected %s): use `external: true` to use an existing volume", v.Name, is, want)
	}
}
