package cli

import (
	"context"
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/pcompose/pcompose/compose"
	"github.com/pcompose/pcompose/planner/desired"
	"github.com/pcompose/pcompose/pod"
)

type watchOptions struct {
	services           []string
	noUp, prune, quiet bool
}

func newWatch(env *Env, run action[watchOptions]) *cobra.Command {
	opt := &watchOptions{}
	cmd := command(env, "watch [OPTIONS] [SERVICE...]", "Sync, restart and rebuild services when files are updated", &opt.services, bind(env, opt, run))
	f := cmd.Flags()
	f.BoolVar(&opt.noUp, "no-up", false, "Do not build and start the services before")
	f.BoolVar(&opt.prune, "prune", true, "Remove the images that a rebuild has replaced")
	f.BoolVar(&opt.quiet, "quiet", false, "Show nothing of builds and pulls")
	return cmd
}

func runWatch(ctx context.Context, env *Env, opt *watchOptions) error {
	begun := env.now()
	s := selection{services: opt.services, pull: "policy", asks: true, ignoreOrphans: isTrue(env.getenv("COMPOSE_IGNORE_ORPHANS"))}
	project, spec, err := s.desire(ctx, env)
	if err != nil {
		return err
	}
	triggers, err := triggersOf(env, project, opt.services)
	if err != nil {
		return err
	}
	e, err := env.open()
	if err != nil {
		return err
	}
	defer e.Close()
	r := runner{env, e}
	if !opt.noUp {
		if _, err := r.bringUp(ctx, spec, &s, opt.quiet); err != nil {
			return err
		}
	}
	if env.global.dryRun {
		return nil
	}
	w, err := r.openWatch(&watching{spec: spec, triggers: triggers, quiet: opt.quiet})
	if err != nil {
		return err
	}
	defer w.close()
	return w.run(ctx, begun)
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
