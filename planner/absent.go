package planner

import (
	"errors"
	"fmt"
	"slices"

	"github.com/pcompose/pcompose/pod"
)

// Absent is the error of Up about something that is made elsewhere, that a container needs, and that does not exist.
type Absent struct {
	// Container and Service are who needs it; "" for a volume that only the file names.
	Container, Service string
	Kind               AbsentKind
	// Name of what is missing, on the machine.
	Name string
	// Search is where a program was looked for.
	Search pod.Search
}

// AbsentKind is what is missing.
type AbsentKind string

const (
	AbsentVolume    AbsentKind = "volume"
	AbsentContainer AbsentKind = "container"
	AbsentSecret    AbsentKind = "secret"
	AbsentProgram   AbsentKind = "program"
	AbsentNetwork   AbsentKind = "network"
	// AbsentOwner is a container whose network is joined.
	AbsentOwner AbsentKind = "owner"
)

// Error says who needs what, and how to come by it.
func (a *Absent) Error() string {
	why := ""
	switch a.Kind {
	case AbsentVolume:
		why = fmt.Sprintf("volume %q is external and does not exist: create it with `pcompose volume create %s`", a.Name, a.Name)
	case AbsentSecret:
		why = fmt.Sprintf("secret %q is external and podman has none of that name: create it with `podman secret create %s FILE`", a.Name, a.Name)
	case AbsentNetwork:
		return fmt.Sprintf("network %q declared as external, but could not be found: create it with `pcompose network create %s`, or bring up the project that has it first", a.Name, a.Name)
	case AbsentProgram:
		return fmt.Sprintf("cannot provide service %q: there is no program for a provider of type %q: %s", a.Service, a.Name, a.Search.Where)
	case AbsentOwner:
		why = fmt.Sprintf("it joins the network of container %q, %s", a.Name, a.Search.Where)
	case AbsentContainer:
		why = fmt.Sprintf("it has the volumes of container %q, which does not exist", a.Name)
	}
	if a.Container == "" {
		return why
	}
	return fmt.Sprintf("cannot create container %q: %s", a.Container, why)
}

// Check finds what the selected containers need and Up does not make. The error joins an *Absent for each; it is one
// that Up gives too, to be had before images are pulled.
func Check(desired pod.Spec, observed pod.Status, opt UpOptions) error {
	return newChoice(desired, observed, opt).absent()
}

// absent finds what is made elsewhere and does not exist, of what the selected containers need.
func (ch *choice) absent() error {
	if ch.asFound {
		return nil // they were made with it
	}
	var errs []error
	seen := map[AbsentKind][]string{}
	errs = append(errs, division{ch}.ownerless()...)
	add := func(c pod.Container, kind AbsentKind, name string) {
		if !slices.Contains(seen[kind], name) {
			seen[kind] = append(seen[kind], name)
			errs = append(errs, &Absent{Container: c.Name, Service: c.Service, Kind: kind, Name: name})
		}
	}
	for _, name := range ch.names {
		ch.absentOf(ch.fates[name].want, add)
	}
	for _, v := range ch.desired.Volumes {
		if ch.opt.AllVolumes && v.External && !slices.Contains(ch.observed.Volumes, v.Name) {
			add(pod.Container{}, AbsentVolume, v.Name)
		}
	}
	for _, p := range providersOf(ch) {
		if search, none := ch.observed.NoProgram[p.Type]; none {
			errs = append(errs, &Absent{Service: p.Service, Kind: AbsentProgram, Name: p.Type, Search: search})
		}
	}
	return errors.Join(errs...)
}

// absentOf finds what one container lacks.
func (ch *choice) absentOf(c pod.Container, add func(c pod.Container, kind AbsentKind, name string)) {
	for _, v := range ch.desired.Volumes {
		if v.External && mountsVolume(c.Mounts, v.Name) && !slices.Contains(ch.observed.Volumes, v.Name) {
			add(c, AbsentVolume, v.Name)
		}
	}
	for _, n := range ch.desired.Networks {
		on := func(a pod.Attachment) bool { return a.Network == n.Key }
		if n.External && slices.ContainsFunc(c.Networks, on) && !(division{ch}).found(n) {
			add(c, AbsentNetwork, n.Name)
		}
	}
	for _, f := range c.Files {
		if _, there := ch.observed.Secrets[f.External]; f.External != "" && !there {
			add(c, AbsentSecret, f.External)
		}
	}
	for _, from := range c.VolumesFrom {
		_, there := ch.observed.Container(from.Container)
		if !there && ch.fates[from.Container] == nil && !slices.Contains(ch.observed.Foreign, from.Container) {
			add(c, AbsentContainer, from.Container)
		}
	}
}
