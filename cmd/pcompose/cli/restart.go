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
		services := opt.services
		if len(services) > 0 && !opt.noDeps {
			services = withRestarted(observed, services)
		}
		return planner.Restart(observed, orAll(services), opt.grace)
	})
}

// withRestarted are services and those that say they restart with one of them.
func withRestarted(observed pod.Status, services []string) []string {
	all := append([]string{}, services...)
	seen := map[string]bool{}
	for _, s := range services {
		seen[s] = true
	}
	for i := 0; i < len(all); i++ {
		for _, c := range observed.Containers {
			for _, d := range c.After {
				if d.On == all[i] && d.Restart && !seen[c.Service] {
					seen[c.Service] = true
					all = append(all, c.Service)
				}
			}
		}
	}
	return all
}
