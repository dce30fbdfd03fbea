package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/pcompose/pcompose/planner"
	"github.com/pcompose/pcompose/pod"
)

type downOptions struct {
	services               []string
	volumes, removeOrphans bool
	images                 string
	grace                  *time.Duration
}

func newDown(env *Env, run action[downOptions]) *cobra.Command {
	opt := &downOptions{}
	cmd := command(env, "down [OPTIONS] [SERVICE...]", "Stop and remove containers, networks", &opt.services, bind(env, opt, run))
	f := cmd.Flags()
	f.BoolVar(&opt.removeOrphans, "remove-orphans", isTrue(env.getenv("COMPOSE_REMOVE_ORPHANS")), "Remove containers of services the file does not have")
	f.StringVar(&opt.images, "rmi", "", "Remove images: local (those without a name of their own), all")
	graceFlag(f, &opt.grace)
	f.BoolVarP(&opt.volumes, "volumes", "v", false, "Remove the named volumes of the file and anonymous volumes")
	return cmd
}

func runDown(ctx context.Context, env *Env, opt *downOptions) error {
	if err := oneOf("--rmi", opt.images, string(planner.LocalImages), string(planner.AllImages)); err != nil {
		return err
	}
	t, err := env.target(ctx)
	if err != nil {
		return err
	}
	e, err := env.open()
	if err != nil {
		return err
	}
	defer e.Close()
	// Only the images of the file and the pod are looked at, and only where some are to go.
	var want *pod.Spec
	if opt.images != "" || opt.volumes {
		want = t.spec
	}
	plan, err := runner{env, e}.carryOut(ctx, change{name: t.name, want: want, plan: func(observed pod.Status) (*planner.Plan, error) {
		if err := t.checkServices(observed, opt.services); err != nil {
			return nil, err
		}
		desired := t.spec
		if env.global.name != "" && len(env.global.files) == 0 && observed.Spec != nil {
			// A pod that is named ends as it is remembered: the file of this folder may be another project's.
			desired = nil
		}
		return planner.Down(desired, observed, planner.DownOptions{
			Services: orAll(opt.services), Volumes: opt.volumes, Images: planner.RemoveImages(opt.images),
			RemoveOrphans: opt.removeOrphans, Grace: opt.grace,
		}), nil
	}})
	if err == nil && plan.Empty() && !env.global.dryRun && len(opt.services) == 0 {
		env.ui.Say("No resource found to remove for project %q.", t.name)
	}
	return err
}
