package cli

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"

	"github.com/pcompose/pcompose/cmd/pcompose/ui"
	"github.com/pcompose/pcompose/compose"
	"github.com/pcompose/pcompose/compose/load"
	"github.com/pcompose/pcompose/engine"
	"github.com/pcompose/pcompose/planner"
	"github.com/pcompose/pcompose/planner/desired"
	"github.com/pcompose/pcompose/pod"
)

// oneOffRun is a one-off container on its way.
type oneOffRun struct {
	runner
	opt  *runOptions
	spec pod.Spec
	made pod.Container
}

func runOneOff(ctx context.Context, env *Env, opt *runOptions) error {
	if err := opt.check(); err != nil {
		return err
	}
	planning, stop := env.interruptible(ctx)
	defer stop()
	if opt.quiet {
		env.ui.Mode = ui.Quiet
	}
	spec, made, err := opt.load(planning, env)
	if err != nil {
		return err
	}
	e, err := env.open()
	if err != nil {
		return err
	}
	defer e.Close()
	o := &oneOffRun{runner{env, e}, opt, spec, made}
	_, err = o.carryOut(planning, o.begin())
	switch {
	case err != nil:
		return o.failed(context.WithoutCancel(ctx), err)
	case env.global.dryRun:
		return nil
	}
	c, err := o.status(ctx)
	if err != nil {
		return err
	}
	if opt.detach {
		env.ui.Line("%s", c.ID)
		return nil
	}
	// From here on signals are for the container; one that came before has not ended us, and is for it too.
	stop()
	return o.follow(ctx, c, context.Cause(planning))
}

// load is the pod, and the container that the flags ask for.
func (o *runOptions) load(ctx context.Context, env *Env) (pod.Spec, pod.Container, error) {
	one, err := o.oneOff(env, newSlug())
	if err != nil {
		return pod.Spec{}, pod.Container{}, err
	}
	project, err := env.load(ctx, o.args[:1])
	if err != nil {
		return pod.Spec{}, pod.Container{}, err
	}
	env.warn(project.Warnings)
	unsupported := compose.Problems(load.Unsupported(project)).Sorted(env.dir)
	if env.global.strict && len(unsupported) > 0 {
		return pod.Spec{}, pod.Container{}, unsupported
	}
	env.warn(unsupported)
	if err := confirmRemote(ctx, env, project, o.env); err != nil {
		return pod.Spec{}, pod.Container{}, err
	}
	return desired.Run(project, desired.Options{}, one)
}

// options are what comes before a plan of it.
func (o *runOptions) options() planner.RunOptions {
	opt := planner.RunOptions{NoDeps: o.noDeps}
	if o.build {
		opt.Build = planner.BuildAll
	}
	return opt
}

// newSlug is what no other one-off container has.
func newSlug() string {
	b := make([]byte, 32)
	rand.Read(b) // never fails (crypto/rand)
	return hex.EncodeToString(b)
}

// begin is the change that starts the container, and what it depends on. The project's lock is free again once it runs.
func (o *oneOffRun) begin() change {
	// Its image and its ports are looked at beside the pod's; the pod is not told to have it.
	seen := o.spec
	seen.Containers = append(append([]pod.Container{}, seen.Containers...), o.made)
	s := &selection{services: []string{o.made.Service}, noDeps: o.opt.noDeps, pull: o.opt.pull}
	return change{
		name: o.spec.Name, want: &seen, remember: true,
		before: func(ctx context.Context, observed pod.Status) (bool, error) {
			only := seen
			only.Containers = []pod.Container{o.made}
			plan, err := s.needs(only, observed)
			if err != nil {
				return false, err
			}
			opt := o.opt.options()
			building, err := planner.BuildRun(o.spec, o.made, observed, opt)
			if err != nil {
				return false, err
			}
			providing := planner.ProvideRun(o.spec, o.made, observed, opt)
			if !providing.Empty() {
				_, err = planner.Run(o.spec, o.made, observed, opt)
			}
			if err != nil {
				return false, locate(o.env.loaded, err)
			}
			pulled, err := o.prepull(ctx, o.e.Project(o.spec.Name), plan, o.opt.quietPull)
			if err != nil {
				return false, err
			}
			if err := o.build(ctx, o.e.Project(o.spec.Name), building, o.opt.quietBuild); err != nil {
				return false, err
			}
			provided, err := o.provide(ctx, o.spec, observed.Spec, providing)
			return pulled || provided || !building.Empty(), err
		},
		plan: func(observed pod.Status) (*planner.Plan, error) {
			opt := o.opt.options()
			opt.RemoveOrphans, opt.Provided, opt.Built = o.opt.removeOrphans, !o.env.global.dryRun, !o.env.global.dryRun
			return planner.Run(o.spec, o.made, observed, opt)
		},
	}
}

// status is the container as it is now.
func (o *oneOffRun) status(ctx context.Context) (pod.ContainerStatus, error) {
	observed, err := o.e.Observe(ctx, o.spec.Name, nil)
	if err != nil {
		return pod.ContainerStatus{}, err
	}
	c, exists := observed.Container(o.made.Name)
	if !exists {
		return c, fmt.Errorf("container %q has been removed", o.made.Name)
	}
	return c, nil
}

// failed takes away a container that could not run. A command that cannot be run has an exit code, 126 or 127.
func (o *oneOffRun) failed(ctx context.Context, err error) error {
	observed, observeErr := o.e.Observe(ctx, o.spec.Name, nil)
	if observeErr != nil {
		return errors.Join(err, observeErr)
	}
	c, exists := observed.Container(o.made.Name)
	if !exists || c.Slug() != o.made.Slug() || !c.Run.StartedAt.IsZero() {
		return err
	}
	if c.Run.Error != "" && (c.Run.ExitCode == 126 || c.Run.ExitCode == 127) {
		err = exit{code: c.Run.ExitCode, err: err}
	}
	return errors.Join(err, o.remove(ctx))
}

// remove takes the container away. It may be gone: `down` takes it too.
func (o *oneOffRun) remove(ctx context.Context) error {
	hidden := func(*planner.Plan) ui.Progress { return ui.Hidden(o.env.ui) }
	_, err := o.carryOut(ctx, change{name: o.spec.Name, show: hidden, plan: func(observed pod.Status) (*planner.Plan, error) {
		return planner.RemoveOneOff(observed, o.made.Name), nil
	}})
	return err
}

// follow takes part in the container until it ends, and ends with its exit code.
func (o *oneOffRun) follow(ctx context.Context, c pod.ContainerStatus, before error) error {
	streams := o.env.streams
	keys, err := engine.DetachKeys(engine.DefaultDetachKeys)
	if err != nil {
		return err
	}
	a := engine.AttachOptions{Stdout: streams.Out, Stderr: streams.Err, FromStart: true, DetachKeys: keys}
	if o.opt.interactive {
		a.Stdin = streams.In
	}
	var ended error
	code := 0
	o.env.streams.forward(func(signals <-chan os.Signal) {
		a.Signals = signals
		code, ended = engine.Attach(ctx, o.e.Project(o.spec.Name), c, a)
	}, before)
	if errors.Is(ended, engine.ErrDetached) {
		return nil
	}
	if o.opt.remove {
		ended = errors.Join(ended, o.remove(context.WithoutCancel(ctx)))
	}
	return endedWith(c.Name, code, ended)
}

// endedWith is the end of a command that ends as a container did.
func endedWith(name string, code int, err error) error {
	switch {
	case err != nil:
		return err
	case code == pod.UnknownExit:
		return fmt.Errorf("nobody saw the exit code of container %q", name)
	case code != 0:
		return exit{code: code}
	}
	return nil
}
