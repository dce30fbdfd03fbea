package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/pcompose/pcompose/cmd/pcompose/ui"
	"github.com/pcompose/pcompose/engine"
	"github.com/pcompose/pcompose/engine/execute"
	"github.com/pcompose/pcompose/planner"
	"github.com/pcompose/pcompose/pod"
)

// change is one change of a pod.
type change struct {
	name string
	// want is what the pod should be, for what is looked at; nil for what it is remembered to be.
	want *pod.Spec
	// remember keeps what the plan makes of the pod, before anything is done; else what it was told to be stays.
	remember bool
	// show is the display of its progress; nil is the user's choice, which may redraw.
	show func(*planner.Plan) ui.Progress
	// around wraps who does its steps; nil leaves them alone.
	around func(execute.Doer) execute.Doer
	// before comes first under the lock; it may bring in what planning needs. nil is nothing.
	before func(ctx context.Context, observed pod.Status) (changed bool, err error)
	plan   func(pod.Status) (*planner.Plan, error)
	// sharing says that the change is that networks can be joined.
	sharing bool
}

// runner carries out changes of pods and shows how they go.
type runner struct {
	env *Env
	e   *engine.Engine
}

// lock takes a project's lock, and says whom it waits for.
func lock(ctx context.Context, env *Env, project *engine.Project, name string) (unlock func(), err error) {
	return project.Lock(ctx, func(holder string) {
		env.ui.Say("waiting for %s, which works on project %s", holder, name)
	})
}

// carryOut observes, plans and runs a change under the project's lock, and returns the plan. With --dry-run it
// prints the plan and takes no lock, for that would be a change.
func (r runner) carryOut(ctx context.Context, c change) (*planner.Plan, error) {
	env, project := r.env, r.e.Project(c.name)
	if err := share(ctx, r, c); err != nil {
		return nil, err
	}
	if !env.global.dryRun {
		unlock, err := lock(ctx, env, project, c.name)
		if err != nil {
			return nil, err
		}
		defer unlock()
	}
	observed, err := r.e.Observe(ctx, c.name, c.want)
	if err != nil {
		return nil, err
	}
	if c.before != nil && !env.global.dryRun {
		changed, err := c.before(ctx, observed)
		if err != nil {
			return nil, err
		}
		if changed {
			if observed, err = r.e.Observe(ctx, c.name, c.want); err != nil {
				return nil, err
			}
		}
	}
	plan, err := c.plan(observed)
	if err != nil {
		return nil, err
	}
	if env.global.dryRun {
		return plan, env.ui.Plan(plan)
	}
	if c.remember {
		if plan, err = r.remember(ctx, c, observed, plan); err != nil {
			return nil, err
		}
	}
	for _, note := range plan.Notes {
		env.ui.Warn(noted(env, c.name, note))
	}
	if c.remember {
		err = r.runRemembered(ctx, c, project, plan, observed)
	} else {
		err = r.run(ctx, c, project, plan)
	}
	return plan, r.postMortem(ctx, c, plan, err)
}

// run runs a plan.
func (r runner) run(ctx context.Context, c change, doer execute.Doer, plan *planner.Plan) error {
	if c.around != nil {
		doer = c.around(doer)
	}
	return r.execute(ctx, doer, plan, c.show)
}

// runRemembered runs a plan whose pod is remembered. A failure may undo what the plan has made.
func (r runner) runRemembered(ctx context.Context, c change, project *engine.Project, plan *planner.Plan, observed pod.Status) error {
	err := r.run(ctx, c, project, plan)
	if err == nil && plan.During != nil {
		err = project.Remember(ctx, plan.Pod)
	}
	if err != nil {
		err = errors.Join(err, r.undo(context.WithoutCancel(ctx), project, observed))
	}
	return err
}

// remember keeps what the plan makes of the pod. Addresses that other pods might be given meanwhile are planned once more,
// and alone. A plan with nothing to do still remembers another folder or other files.
func (r runner) remember(ctx context.Context, c change, observed pod.Status, plan *planner.Plan) (*planner.Plan, error) {
	if slices.ContainsFunc(plan.Pod.Networks, func(n pod.Network) bool { return n.Shared }) {
		unlock, err := engine.LockAddresses(r.e)
		if err != nil {
			return nil, err
		}
		defer unlock()
		if observed, err = r.e.Observe(ctx, c.name, c.want); err != nil {
			return nil, err
		}
		if plan, err = c.plan(observed); err != nil {
			return nil, err
		}
	}
	if plan.Empty() && reflect.DeepEqual(observed.Spec, &plan.Pod) {
		return plan, nil
	}
	return plan, r.e.Project(c.name).Remember(ctx, *cmp.Or(plan.During, &plan.Pod))
}

// share makes the networks of other projects that a change joins ones that can be joined: it changes those projects' pods,
// each under its own lock, before the project's own is taken, so that no two commands wait for each other.
func share(ctx context.Context, r runner, c change) error {
	if c.want == nil || !c.remember || c.sharing || !slices.ContainsFunc(c.want.Networks, func(n pod.Network) bool { return n.Name != c.name+"_"+n.Key }) {
		return nil
	}
	found, err := engine.FindNetworks(r.e, c.name, c.want)
	if err != nil {
		return err
	}
	owners := planner.Unshared(*c.want, found)
	for _, owner := range slices.Sorted(maps.Keys(owners)) {
		observed, err := r.e.Observe(ctx, owner, nil)
		if err != nil || observed.Spec == nil {
			return err
		}
		_, err = r.carryOut(ctx, change{name: owner, want: observed.Spec, remember: true, sharing: true, plan: func(now pod.Status) (*planner.Plan, error) {
			return planner.Share(now, owners[owner], "project "+c.name)
		}})
		if err != nil {
			return fmt.Errorf("cannot join networks of project %q: %w", owner, err)
		}
	}
	return nil
}

// postMortem is the failure of a change with what is known of it now.
func (r runner) postMortem(ctx context.Context, c change, plan *planner.Plan, failure error) error {
	if failure == nil {
		return nil
	}
	now, err := r.e.Observe(context.WithoutCancel(ctx), c.name, nil)
	if err != nil {
		return failure // that it cannot be looked at is not what the user asked
	}
	denied, err := engine.Denied(context.WithoutCancel(ctx), r.e.Project(c.name), now)
	if err == nil {
		err = engine.RememberDenied(r.e.Project(c.name), denied)
	}
	if err != nil {
		return failure // as above
	}
	p := postMortem{denied: denied, command: r.env.again(c.name), now: now, plan: plan, project: r.env.loaded, dir: r.env.dir}
	switch {
	case c.want != nil:
		p.spec = *c.want
	case now.Spec != nil:
		p.spec = *now.Spec
	}
	if c.show == nil { // else output shows anyway
		p.source = r.e.Project(c.name)
	}
	return p.report(ctx, failure)
}

// undo takes away what a failed plan made for a pod that did not exist before, where nothing of it has run.
func (r runner) undo(ctx context.Context, project *engine.Project, before pod.Status) error {
	now, err := r.e.Observe(ctx, before.Name, nil)
	if err != nil {
		return err
	}
	return execute.Run(ctx, planner.Undo(before, now), project, 0, func(execute.Event) {})
}

// execute runs a plan and shows how it goes, nil as the user chose. An empty plan shows nothing.
func (r runner) execute(ctx context.Context, doer execute.Doer, plan *planner.Plan, show func(*planner.Plan) ui.Progress) error {
	if plan.Empty() {
		return nil
	}
	if show == nil {
		show = r.env.ui.Progress
	}
	progress := show(plan)
	defer progress.Close()
	return execute.Run(ctx, plan, doer, max(0, r.env.global.parallel), progress.Event)
}

// simple carries out a change of services that were named, of a project that may have no file any more.
func (env *Env) simple(ctx context.Context, services []string, plan func(target, pod.Status) (*planner.Plan, error)) error {
	t, err := env.target(ctx)
	if err != nil {
		return err
	}
	e, err := env.open()
	if err != nil {
		return err
	}
	defer e.Close()
	_, err = runner{env, e}.carryOut(ctx, change{name: t.name, plan: func(observed pod.Status) (*planner.Plan, error) {
		if err := t.checkServices(observed, services); err != nil {
			return nil, err
		}
		return plan(t, observed)
	}})
	return err
}

// look observes the pod of the project a command is about, with the services named checked. Where the project's name
// is given the file is not needed, and is only read for services that the pod does not have.
func (env *Env) look(ctx context.Context, services []string) (*engine.Engine, target, pod.Status, error) {
	t, err := target{name: env.global.name}, error(nil)
	if t.name == "" || len(env.global.files) > 0 {
		t, err = env.target(ctx)
	}
	if err != nil {
		return nil, t, pod.Status{}, err
	}
	e, err := env.open()
	if err != nil {
		return nil, t, pod.Status{}, err
	}
	observed, err := e.Observe(ctx, t.name, nil)
	if err == nil {
		err = t.checkServices(observed, services)
		if err != nil && t.spec == nil {
			if t, err = env.target(ctx); err == nil {
				err = t.checkServices(observed, services)
			}
		}
	}
	if err != nil {
		e.Close()
		return nil, t, pod.Status{}, err
	}
	return e, t, observed, nil
}

// running is the container of a service by its number, which must run.
func running(observed pod.Status, service string, index int) (pod.ContainerStatus, error) {
	c, err := find(observed, service, index)
	if err == nil && c.Run.State != pod.StateRunning {
		err = fmt.Errorf("container %q is not running: it is %s", c.Name, c.Run.State)
	}
	return c, err
}
