package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/pcompose/pcompose/planner"
	"github.com/pcompose/pcompose/pod"
)

type restartOptions struct {
	services []string
	noDeps   bool
	grace    *time.Duration
}

func newRestart(env *Env, run action[restartOptions]) *cobra.Command {
	opt := &restartOptions{}
	cmd := command(env, "restart [OPTIONS] [SERVICE...]", "Restart service containers", &opt.services, bind(env, opt, run))
	cmd.Flags().BoolVar(&opt.noDeps, "no-deps", false, "Leave alone what depends on the services with restart: true")
	graceFlag(cmd.Flags(), &opt.grace)
	return cmd
}

func runRestart(ctx context.Context, env *Env, opt *restartOptions) error {
	return env.simple(ctx, opt.services, func(_ target, observed pod.Status) (*planner.Plan, error) {
		return planner.Restart(observed, orAll(opt.services), !opt.noDeps, opt.grace)
	})
}
