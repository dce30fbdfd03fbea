package engine

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pcompose/pcompose/engine/rootfs"
	"github.com/pcompose/pcompose/engine/state"
	"github.com/pcompose/pcompose/pod"
)

// givers are the records of the containers whose volumes a container has, those of other projects too.
func givers(p *Project, c pod.Container) ([]state.Record, error) {
	var all []state.Record
	for _, from := range c.VolumesFrom {
		r, err := p.record(from.Container)
		if err != nil {
			if r, err = foreign(p.engine, from.Container); err != nil {
				return nil, err
			}
		}
		all = append(all, r)
	}
	return all, nil
}

// foreign is the record of a container of any project.
func foreign(e *Engine, name string) (state.Record, error) {
	_, r, err := locate(e, name)
	return r, err
}

// locate is the project and the record of a container of any project, by its name or the begin of its ID.
func locate(e *Engine, name string) (string, state.Record, error) {
	names, err := e.state.Names()
	if err != nil {
		return "", state.Record{}, err
	}
	for _, project := range names {
		remembered, err := e.state.Load(project)
		if err != nil {
			return "", state.Record{}, err
		}
		if remembered == nil {
			continue
		}
		for called, r := range remembered.Containers {
			if called == name || len(name) >= 12 && strings.HasPrefix(r.ID, name) {
				return project, r, nil
			}
		}
	}
	return "", state.Record{}, fmt.Errorf("%w named %q", errNoContainer, name)
}

// errNoContainer is wrapped by the error about a container that no project has.
var errNoContainer = errors.New("no container")

// taken are the mounts that a container has from others: their binds, volumes and images. What it mounts itself
// wins, then the last that is named. They are never filled from its image: they are the other's.
func taken(c pod.Container, givers []state.Record) []pod.Mount {
	byTarget := map[string]pod.Mount{}
	for i, giver := range givers {
		for _, m := range given(giver) {
			m.NoCopy, m.ReadOnly = true, m.ReadOnly || c.VolumesFrom[i].ReadOnly
			byTarget[m.Target] = m
		}
	}
	for _, m := range c.Mounts {
		delete(byTarget, m.Target)
	}
	var all []pod.Mount
	for _, target := range slices.Sorted(maps.Keys(byTarget)) {
		all = append(all, byTarget[target])
	}
	return all
}

// given are the mounts that another container may take: all but tmpfs, which nobody can share.
func given(r state.Record) []pod.Mount {
	var all []pod.Mount
	named := map[string]bool{}
	for _, m := range r.Mounts() {
		named[m.Target] = true
		if m.Source == "" {
			m.Source = r.Anonymous[m.Target]
		}
		if m.Type != pod.MountTmpfs {
			all = append(all, m)
		}
	}
	for _, target := range slices.Sorted(maps.Keys(r.Anonymous)) {
		if !named[target] {
			all = append(all, pod.Mount{Type: pod.MountVolume, Source: r.Anonymous[target], Target: target})
		}
	}
	return all
}

// mountedImages says which images a container mounts, each over a root of its own: so no other program that has the
// image mounted, or removes it, is in the way.
func mountedImages(e *Engine, mounts []pod.Mount) (map[string]state.MountedImage, error) {
	all := map[string]state.MountedImage{}
	for _, m := range mounts {
		if m.Type != pod.MountImage {
			continue
		}
		store, err := e.store()
		if err != nil {
			return nil, err
		}
		img, err := store.Lookup(m.Source)
		if err != nil {
			return nil, err
		}
		all[m.Target] = state.MountedImage{Root: newID(), ImageID: img.ID}
	}
	return all, nil
}

// makeMounted makes the roots over the images that a container mounts. Idempotent.
func makeMounted(roots *rootfs.Roots, project string, r state.Record) error {
	for _, target := range slices.Sorted(maps.Keys(r.Mounted)) {
		m := r.Mounted[target]
		if err := roots.Create(m.Root, fmt.Sprintf("%s-image-%.12s", r.Container.Name, m.Root), m.ImageID, rootfs.Options{Project: project}); err != nil {
			return fmt.Errorf("cannot mount an image on %s: %w", target, err)
		}
	}
	return nil
}

// ids are the IDs of the images that a container mounts, by path.
func ids(mounted map[string]state.MountedImage) map[string]string {
	if len(mounted) == 0 {
		return nil
	}
	all := make(map[string]string, len(mounted))
	for target, m := range mounted {
		all[target] = m.ImageID
	}
	return all
}
