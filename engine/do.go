package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/pcompose/pcompose/engine/execute"
	"github.com/pcompose/pcompose/engine/image"
	"github.com/pcompose/pcompose/engine/state"
	"github.com/pcompose/pcompose/planner"
	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/control"
)

// Do does one action of a plan. It is idempotent and may be killed at any moment: what is made is written down
// before, so that the next plan finishes or removes it.
func (p *Project) Do(ctx context.Context, action planner.Action, report func(execute.Progress)) error {
	switch a := action.(type) {
	case planner.PullImage:
		return p.engine.pull(ctx, a, report)
	case planner.BuildImage:
		return buildImage(ctx, p.engine, a, report)
	case planner.PushImage:
		return push(ctx, p.engine, a, report)
	case planner.CreateVolume:
		return p.engine.volumes.Create(a.Volume)
	case planner.CreateSandbox:
		return p.createSandbox(ctx, a, report)
	case planner.PublishPorts:
		_, err := p.client().ask(ctx, control.Request{Publish: &control.Publish{Ports: a.Ports}})
		return err
	case planner.ConnectCells:
		_, err := p.client().ask(ctx, control.Request{Connect: &control.Connect{Topology: a.Topology}})
		return err
	case planner.CreateContainer:
		return p.createContainer(ctx, a, report)
	case planner.UpdateContainer:
		return p.updateContainer(ctx, a)
	case planner.StartContainer:
		return p.startContainer(ctx, a, report)
	case planner.RunPostStart:
		return postStart(ctx, p, a)
	case planner.RunPreStop:
		return preStop(ctx, p, a, report)
	case planner.WaitContainer:
		return waitContainer(ctx, p, a, report)
	case planner.RenameContainer:
		return renameContainer(ctx, p, a)
	case planner.StopContainer:
		return stopContainer(ctx, p, a)
	case planner.KillContainer:
		return askOf(ctx, p, a.Name, func(id string) control.Request {
			return control.Request{Signal: &control.Signal{ID: id, Name: a.Signal}}
		})
	case planner.PauseContainer:
		if err := Freezes(p.engine); err != nil {
			return fmt.Errorf("cannot pause container %q: %w", a.Name, err)
		}
		return askOf(ctx, p, a.Name, func(id string) control.Request { return control.Request{Pause: &control.Pause{ID: id}} })
	case planner.UnpauseContainer:
		return askOf(ctx, p, a.Name, func(id string) control.Request { return control.Request{Unpause: &control.Unpause{ID: id}} })
	case planner.RemoveContainer:
		return p.removeContainer(ctx, a)
	case planner.RemoveSandbox:
		return p.removeSandbox(ctx)
	case planner.RemoveVolume:
		return p.engine.removeVolume(a.Name)
	case planner.BeginWatch:
		return beginWatch(ctx, p, &a.Watcher)
	case planner.EndWatch:
		return beginWatch(ctx, p, nil)
	case planner.RunProvider:
		return runProvider(ctx, p, a, report)
	case planner.RemoveImage:
		return p.engine.removeImage(a.Image)
	}
	return fmt.Errorf("no such action: %T", action)
}

func (e *Engine) pull(ctx context.Context, a planner.PullImage, report func(execute.Progress)) error {
	store, err := e.store()
	if err != nil {
		return err
	}
	_, err = store.Pull(ctx, a.Image, image.PullOptions{Platform: a.Platform, Progress: func(b image.Progress) {
		report(execute.Progress{What: b.Blob, Done: b.Done, Total: b.Total})
	}})
	return err
}

func push(ctx context.Context, e *Engine, a planner.PushImage, report func(execute.Progress)) error {
	store, err := e.store()
	if err != nil {
		return err
	}
	return store.Push(ctx, a.Image, func(b image.Progress) {
		report(execute.Progress{What: b.Blob, Done: b.Done, Total: b.Total})
	})
}

func waitContainer(ctx context.Context, p *Project, a planner.WaitContainer, report func(execute.Progress)) error {
	r, err := p.record(a.Name)
	if err == nil {
		err = p.client().reach(ctx, r, a.Until)
	}
	if err == nil && a.Steady > 0 {
		err = p.client().stays(ctx, r, a.Until, a.Steady)
	}
	if err != nil && !a.Required && ctx.Err() == nil {
		report(execute.Progress{Warning: fmt.Sprintf("%v: going on, since depends_on says required: false", err)})
		return nil
	}
	return err
}

func stopContainer(ctx context.Context, p *Project, a planner.StopContainer) error {
	r, err := p.record(a.Name)
	if err != nil {
		return err
	}
	_, err = p.client().ask(ctx, control.Request{Stop: &control.Stop{ID: r.ID, Grace: a.Grace}})
	if errors.Is(err, errDown) {
		return nil // nothing runs
	}
	return err
}

// askOf asks the supervisor for what is to be done to a container.
func askOf(ctx context.Context, p *Project, container string, request func(id string) control.Request) error {
	r, err := p.record(container)
	if err != nil {
		return err
	}
	_, err = p.client().ask(ctx, request(r.ID))
	return err
}

func (e *Engine) removeVolume(name string) error {
	return e.volumes.Remove(name, volumeUsers(e.state, name))
}

// volumeUsers are the containers of all projects that mount a volume. A project whose state cannot be read
// does not free its volumes: it counts.
func volumeUsers(s *state.Store, name string) []string {
	var users []string
	names, err := s.Names()
	if err != nil {
		return []string{err.Error()}
	}
	for _, project := range names {
		p, err := s.Load(project)
		if err != nil {
			users = append(users, err.Error())
			continue
		}
		if p == nil {
			continue
		}
		for _, r := range p.Containers {
			if mountsVolume(r, name) {
				users = append(users, r.Container.Name)
			}
		}
	}
	slices.Sort(users)
	return users
}

func mountsVolume(r state.Record, name string) bool {
	return slices.ContainsFunc(given(r), func(m pod.Mount) bool { return m.Type == pod.MountVolume && m.Source == name })
}

func (e *Engine) removeImage(ref string) error {
	store, err := e.store()
	if err != nil {
		return err
	}
	_, err = store.Remove(ref, false)
	if errors.Is(err, image.ErrNotFound) {
		return nil
	}
	return err
}
