package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/pcompose/pcompose/planner"
	"github.com/pcompose/pcompose/pod"
)

type stopOptions struct {
	services []string
	grace    *time.Duration
}

func newStop(env *Env, run action[stopOptions]) *cobra.Command {
	opt := &stopOptions{}
	cmd := command(env, "stop [OPTIONS] [SERVICE...]", "Stop services", &opt.services, bind(env, opt, run))
	graceFlag(cmd.Flags(), &opt.grace)
	return cmd
}

func runStop(ctx context.Context, env *Env, opt *stopOptions) error {
	return env.simple(ctx, opt.services, func(_ target, observed pod.Status) (*planner.Plan, error) {
		return planner.Stop(observed, orAll(opt.services), opt.grace), nil
	})
}
