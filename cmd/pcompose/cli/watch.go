package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/pcompose/pcompose/compose"
	"github.com/pcompose/pcompose/planner"
	"github.com/pcompose/pcompose/planner/desired"
	"github.com/pcompose/pcompose/pod"
)

type watchOptions struct {
	services           []string
	noUp, prune, quiet bool
	detach, stop       bool
	// attended says that the pod's supervisor runs us.
	attended bool
	// begun is when the command was given: changes since then count.
	begun time.Time
}

func newWatch(env *Env, run action[watchOptions]) *cobra.Command {
	opt := &watchOptions{}
	cmd := command(env, "watch [OPTIONS] [SERVICE...]", "Sync, restart and rebuild services when files are updated", &opt.services, bind(env, opt, run))
	f := cmd.Flags()
	f.BoolVar(&opt.noUp, "no-up", false, "Do not build and start the services before")
	f.BoolVar(&opt.prune, "prune", true, "Remove the images that a rebuild has replaced")
	f.BoolVar(&opt.quiet, "quiet", false, "Show nothing of builds and pulls")
	f.BoolVarP(&opt.detach, "detach", "d", false, "Watch in the background, until stop, down or watch --stop")
	f.BoolVar(&opt.stop, "stop", false, "End the watch in the background")
	f.BoolVar(&opt.attended, "attended", false, "Watch as the program of the supervisor")
	_ = f.MarkHidden("attended") // the flag is there
	return cmd
}

// flags are those that matter in the background too.
func (o *watchOptions) flags() []string {
	return []string{fmt.Sprintf("--prune=%t", o.prune), fmt.Sprintf("--quiet=%t", o.quiet)}
}

func runWatch(ctx context.Context, env *Env, opt *watchOptions) error {
	switch {
	case opt.stop && (opt.detach || opt.noUp || len(opt.services) > 0):
		return errors.New("--stop ends the watch in the background, whatever it watches: it goes alone")
	case opt.stop:
		return env.simple(ctx, nil, func(_ target, observed pod.Status) (*planner.Plan, error) { return planner.Unwatch(observed), nil })
	case opt.attended:
		return runAttended(ctx, env, opt)
	}
	opt.begun = env.now()
	s := selection{services: opt.services, pull: "policy", asks: true, ignoreOrphans: isTrue(env.getenv("COMPOSE_IGNORE_ORPHANS"))}
	project, spec, err := s.desire(ctx, env)
	if err != nil {
		return err
	}
	triggers, err := triggersOf(env, project, opt.services)
	if err != nil {
		return err
	}
	if opt.detach {
		if s.watcher, err = background(env, spec, triggers, opt); err != nil {
			return err
		}
	}
	e, err := env.open()
	if err != nil {
		return err
	}
	defer e.Close()
	r := runner{env, e}
	switch {
	case !opt.noUp:
		buildWatched(&spec, triggers)
		_, err = r.bringUp(ctx, spec, &s, opt.quiet)
	case opt.detach:
		_, err = r.carryOut(ctx, change{name: spec.Name, plan: func(observed pod.Status) (*planner.Plan, error) { return planner.Watch(observed, *s.watcher) }})
	}
	if err != nil || opt.detach || env.global.dryRun {
		return err
	}
	w, err := r.openWatch(ctx, &watching{spec: spec, triggers: triggers, quiet: opt.quiet, prune: opt.prune})
	if err != nil {
		return err
	}
	defer w.close()
	return w.run(ctx, opt.begun)
}

// buildWatched has the images of services that are watched built with the next up, also those that are there, as docker compose
// has it: what changed since they were is in no container else.
func buildWatched(spec *pod.Spec, triggers []pod.Trigger) {
	containers := slices.Clone(spec.Containers)
	for i := range containers {
		service := containers[i].Service
		_, builds := spec.BuildFor(service)
		if builds && slices.ContainsFunc(triggers, func(t pod.Trigger) bool { return t.Service == service }) {
			containers[i].Pull = pod.PullBuild
		}
	}
	spec.Containers = containers
}

// triggersOf are what the services named are watched for; a path that is not there is a problem of the file.
func triggersOf(env *Env, project *compose.Project, services []string) ([]pod.Trigger, error) {
	triggers, warnings, err := desired.Triggers(project, services)
	if err != nil {
		return nil, err
	}
	env.warn(warnings)
	var missing compose.Problems
	for _, t := range triggers {
		if _, cause := os.Stat(t.Path); cause != nil {
			p := project.Problem(desired.TriggerPath(t, "path"), "cannot watch %q: %v", t.Path, errors.Unwrap(cause))
			p.Hint = "make it, or take the trigger out"
			missing = append(missing, p)
		}
	}
	if len(triggers) == 0 {
		return nil, errors.New("nothing is left to watch")
	}
	return triggers, missing.Sorted(env.dir).Err()
}
