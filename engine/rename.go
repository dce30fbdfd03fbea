package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/pcompose/pcompose/engine/state"
	"github.com/pcompose/pcompose/planner"
	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/control"
)

// renameContainer gives a container the name of another. The supervisor has it first and what is remembered last, by ID:
// killed in between, the next plan finds the container under its old name, and has it renamed again.
func renameContainer(ctx context.Context, p *Project, a planner.RenameContainer) error {
	r, err := p.record(a.Name)
	if err != nil {
		if _, done := p.record(a.To); done == nil {
			return rename(ctx, p)
		}
		return err
	}
	if err := takeName(ctx, p, r, a); err != nil {
		return fmt.Errorf("cannot rename container %q to %q: %w", a.Name, a.To, err)
	}
	return rename(ctx, p)
}

func takeName(ctx context.Context, p *Project, r state.Record, a planner.RenameContainer) error {
	_, err := p.client().ask(ctx, control.Request{Rename: &control.Rename{ID: r.ID, To: a.To, Was: a.Was}})
	if err != nil && !errors.Is(err, errDown) {
		return err
	}
	return p.edit(func(s *state.Project) {
		if other, ok := s.Containers[a.To]; ok {
			other.Container = other.Container.Renamed(a.Was)
			other.Container.Leaving = true
			s.Containers[a.Was] = other
		}
		delete(s.Containers, a.Name)
		r.Container = placed(r.Container, a.To)
		s.Containers[a.To] = r
		delete(s.Kept, a.To)
		s.Spec.Containers = slices.DeleteFunc(slices.Clone(s.Spec.Containers), func(c pod.Container) bool { return c.Name == a.To })
		for i, c := range s.Spec.Containers {
			if c.Name == a.Name {
				s.Spec.Containers[i] = placed(c, a.To)
			}
		}
	})
}

// placed is a successor that has taken its place.
func placed(c pod.Container, name string) pod.Container {
	c.Succeeds = ""
	return c.Renamed(name)
}

// rootName is the name of a container's root in the image store, where it cannot be changed later: that of a successor
// is no other's.
func rootName(r state.Record) string {
	if r.Container.Succeeds != "" {
		return r.Container.Succeeds + "-" + r.ID[:12]
	}
	return r.Container.Name
}
