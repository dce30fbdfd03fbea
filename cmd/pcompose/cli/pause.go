package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/pcompose/pcompose/planner"
	"github.com/pcompose/pcompose/pod"
)

type pauseOptions struct{ services []string }

func newPause(env *Env, run action[pauseOptions]) *cobra.Command {
	opt := &pauseOptions{}
	return command(env, "pause [SERVICE...]", "Pause services", &opt.services, bind(env, opt, run))
}

func runPause(ctx context.Context, env *Env, opt *pauseOptions) error {
	return env.simple(ctx, opt.services, func(_ target, observed pod.Status) (*planner.Plan, error) {
		return planner.Pause(observed, orAll(opt.services)), nil
	})
}

func newUnpause(env *Env, run action[pauseOptions]) *cobra.Command {
	opt := &pauseOptions{}
	return command(env, "unpause [SERVICE...]", "Unpause services", &opt.services, bind(env, opt, run))
}

func runUnpause(ctx context.Context, env *Env, opt *pauseOptions) error {
	return env.simple(ctx, opt.services, func(_ target, observed pod.Status) (*planner.Plan, error) {
		return planner.Unpause(observed, orAll(opt.services)), nil
	})
}
