package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/pcompose/pcompose/planner"
	"github.com/pcompose/pcompose/pod"
)

type startOptions struct {
	services    []string
	wait        bool
	waitTimeout int
}

func newStart(env *Env, run action[startOptions]) *cobra.Command {
	opt := &startOptions{}
	cmd := command(env, "start [SERVICE...]", "Start services", &opt.services, bind(env, opt, run))
	f := cmd.Flags()
	f.BoolVar(&opt.wait, "wait", false, "Wait for services to be running or healthy")
	f.IntVar(&opt.waitTimeout, "wait-timeout", 0, "Seconds to wait at most; 0 is no bound")
	return cmd
}

func runStart(ctx context.Context, env *Env, opt *startOptions) error {
	if opt.waitTimeout > 0 {
		bound := time.Duration(opt.waitTimeout) * time.Second
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, bound, waitedTooLong{bound.String()})
		defer cancel()
	}
	return env.simple(ctx, opt.services, func(t target, observed pod.Status) (*planner.Plan, error) {
		for _, s := range opt.services {
			if _, err := find(observed, s, 0); err != nil {
				return nil, fmt.Errorf("service %q has no container to start", s)
			}
		}
		if len(observed.Containers) == 0 {
			return nil, fmt.Errorf("project %q has no container to start: `pcompose up` makes them", t.name)
		}
		return planner.Start(observed, orAll(opt.services), opt.wait)
	})
}
