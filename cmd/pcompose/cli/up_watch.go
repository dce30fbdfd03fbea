package cli

import (
	"context"
	"errors"
	"slices"

	"github.com/pcompose/pcompose/compose"
	"github.com/pcompose/pcompose/planner"
	"github.com/pcompose/pcompose/pod"
)

// watches is what --watch needs before anything is done: with -d it is a step of the plan.
func (o *upOptions) watches(env *Env, project *compose.Project, spec pod.Spec) error {
	triggers, err := triggersOf(env, project, o.services)
	if err != nil {
		return err
	}
	if o.noBuild {
		for _, t := range triggers {
			if t.Action == pod.TriggerRebuild {
				return errors.New("--no-build is incompatible with watch action rebuild in service " + t.Service)
			}
		}
	}
	if o.detach || env.global.dryRun {
		o.watcher, err = background(env, spec, triggers, &watchOptions{services: o.services, prune: true, quiet: o.quietBuild, begun: o.begun})
	}
	return err
}

// upWatch watches files beside an up that shows logs.
type upWatch struct {
	attachment
	runner
	raising
	// cancel ends the watch that runs, nil for none; ended is closed when it has.
	cancel context.CancelFunc
	ended  chan struct{}
}

// toggle begins to watch, or ends that. What goes wrong is told: the services run all the same.
func (u *upWatch) toggle(ctx context.Context) {
	if u.cancel != nil {
		u.stop()
		return
	}
	triggers, err := u.triggers()
	var w *watching
	if err == nil {
		w, err = u.openWatch(ctx, &watching{spec: u.spec, triggers: triggers, prune: true, quiet: u.opt.quietBuild, around: u.around})
	}
	if err != nil {
		u.env.ui.Warn(err.Error())
		return
	}
	since := u.env.now()
	if u.opt.watch {
		since = u.opt.begun
	}
	running, cancel := context.WithCancel(ctx)
	u.cancel, u.ended = cancel, make(chan struct{})
	go func() {
		defer close(u.ended)
		defer w.close()
		if err := w.run(running, since); err != nil && running.Err() == nil {
			u.env.ui.Warn(err.Error())
		}
	}()
}

// stop ends the watch, and what it does. Idempotent.
func (u *upWatch) stop() {
	if u.cancel != nil {
		u.cancel()
		<-u.ended
		u.cancel = nil
	}
}

// detach leaves the watch to the supervisor, where there is one.
func (u *upWatch) detach(ctx context.Context) {
	if u.cancel == nil {
		return
	}
	since := u.env.now()
	u.stop()
	triggers, err := u.triggers()
	if err == nil {
		u.opt.watcher, err = background(u.env, u.spec, triggers, &watchOptions{services: u.opt.services, prune: true, quiet: u.opt.quietBuild, begun: since})
	}
	if err == nil {
		_, err = u.carryOut(ctx, change{name: u.spec.Name, show: u.env.ui.Steps, plan: func(observed pod.Status) (*planner.Plan, error) {
			return planner.Watch(observed, *u.opt.watcher)
		}})
	}
	if err != nil {
		u.env.ui.Warn(err.Error())
	}
}

// around has what restarts containers, or makes them anew, be no end of the up, and its output show.
func (u *upWatch) around(ctx context.Context, act func()) {
	tell := func(a acting) {
		select {
		case u.raising.follow.acting <- a:
		case <-u.growing.left:
		}
	}
	tell(acting{})
	act()
	u.growing.look()
	observed, err := u.e.Observe(context.WithoutCancel(ctx), u.spec.Name, nil)
	if err != nil {
		u.env.ui.Warn(err.Error())
	}
	tell(acting{over: true, all: slices.Clone(observed.Containers)})
}
