package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pcompose/pcompose/planner"
	"github.com/pcompose/pcompose/pod"
)

type rmOptions struct {
	services             []string
	force, stop, volumes bool
}

func newRm(env *Env, run action[rmOptions]) *cobra.Command {
	opt := &rmOptions{}
	cmd := command(env, "rm [OPTIONS] [SERVICE...]", "Removes stopped service containers", &opt.services, bind(env, opt, run))
	f := cmd.Flags()
	f.BoolVarP(&opt.force, "force", "f", false, "Do not ask")
	f.BoolVarP(&opt.stop, "stop", "s", false, "Stop the containers first")
	f.BoolVarP(&opt.volumes, "volumes", "v", false, "Remove anonymous volumes of the containers")
	return cmd
}

func runRm(ctx context.Context, env *Env, opt *rmOptions) error {
	return env.simple(ctx, opt.services, func(_ target, observed pod.Status) (*planner.Plan, error) {
		plan := planner.Remove(observed, orAll(opt.services), opt.stop, opt.volumes)
		var names []string
		for _, step := range plan.Steps {
			if remove, ok := step.Action.(planner.RemoveContainer); ok {
				names = append(names, remove.Name)
			}
		}
		switch {
		case len(names) == 0:
			env.ui.Say("No stopped containers")
		case opt.force || env.global.dryRun:
		case !env.ui.Confirm("Going to remove " + strings.Join(names, ", ") + ". Are you sure?"):
			return &planner.Plan{Project: observed.Name}, nil
		}
		return plan, nil
	})
}
