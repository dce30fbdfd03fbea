package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/pcompose/pcompose/engine/state"
	"github.com/pcompose/pcompose/engine/volume"
	"github.com/pcompose/pcompose/planner"
	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/control"
)

// removeContainer removes a container and everything made for it. The record goes last: until then the next
// `down` finds what a killed one left.
func (p *Project) removeContainer(ctx context.Context, a planner.RemoveContainer) error {
	r, err := p.record(a.Name)
	if err != nil {
		return nil // removed before
	}
	_, err = p.client().ask(ctx, control.Request{Forget: &control.Forget{ID: r.ID}})
	if errors.Is(err, errDown) {
		err = deleteUnsupervised(ctx, p, r)
	}
	if err != nil {
		return err
	}
	if err := removeFiles(p, r); err != nil {
		return fmt.Errorf("cannot remove container %q: %w", a.Name, err)
	}
	if a.Volumes {
		if err := removeAnonymous(p, r); err != nil {
			return err
		}
	}
	err = p.edit(func(s *state.Project) {
		delete(s.Containers, a.Name)
		if !a.Volumes && len(r.Anonymous) > 0 {
			if s.Kept == nil {
				s.Kept = map[string]map[string]string{}
			}
			s.Kept[a.Name] = r.Anonymous
		}
	})
	if err == nil {
		note(p, r, "destroy")
	}
	return err
}

// removeAnonymous removes the anonymous volumes that a container has, and no other.
func removeAnonymous(p *Project, r state.Record) error {
	var names []string
	for _, m := range given(r) {
		if m.Type == pod.MountVolume {
			names = append(names, m.Source)
		}
	}
	for _, name := range names {
		v, err := p.engine.volumes.Inspect(name)
		if errors.Is(err, volume.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if _, ok := v.Labels[anonymousLabel]; !ok || slices.ContainsFunc(volumeUsers(p.engine.state, name), func(c string) bool { return c != r.Container.Name }) {
			continue
		}
		if err := p.engine.volumes.Remove(name, nil); err != nil {
			return err
		}
	}
	return nil
}

// removeFiles removes a container's root, bundle and logs. Whatever is mounted below the bundle goes first.
func removeFiles(p *Project, r state.Record) error {
	if err := p.bundle(r).remove(); err != nil {
		return err
	}
	roots, err := p.engine.roots()
	if err != nil {
		return err
	}
	for _, m := range r.Mounted {
		err = errors.Join(err, roots.Remove(m.Root))
	}
	return errors.Join(err, roots.Remove(r.ID), os.RemoveAll(p.logDir(r)))
}
