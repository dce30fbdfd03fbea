package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/pcompose/pcompose/planner"
)

type planOptions struct {
	selection
	format string
}

func newPlan(env *Env, run action[planOptions]) *cobra.Command {
	opt := &planOptions{}
	cmd := command(env, "plan [OPTIONS] [SERVICE...]", "Show what up would do, and why", &opt.services, bind(env, opt, run))
	f := cmd.Flags()
	f.StringVar(&opt.format, "format", "table", "Format: table, json, or text (one step a line)")
	opt.bind(f, env)
	f.BoolVar(&opt.noStart, "no-start", false, "Create the containers, start none")
	f.BoolVar(&opt.noDeps, "no-deps", false, "Leave out what the named services depend on")
	f.BoolVar(&opt.wait, "wait", false, "Wait for services to be running or healthy")
	return cmd
}

func runPlan(ctx context.Context, env *Env, opt *planOptions) error {
	if err := opt.check(); err != nil {
		return err
	}
	if err := oneOf("--format", opt.format, "table", "json", "text"); err != nil {
		return err
	}
	_, spec, err := opt.desire(ctx, env)
	if err != nil {
		return err
	}
	e, err := env.open()
	if err != nil {
		return err
	}
	defer e.Close()
	observed, err := e.Observe(ctx, spec.Name, &spec)
	if err != nil {
		return err
	}
	plan, err := planner.Up(spec, observed, opt.agreed(env, spec, observed, false))
	if err != nil {
		return locate(env.loaded, err)
	}
	switch opt.format {
	case "json":
		err = env.ui.PlanJSON(plan)
	case "text":
		err = env.ui.Text([]byte(plan.String()))
	default:
		err = env.ui.Plan(plan)
	}
	if err == nil && !plan.Empty() {
		return exit{code: 2}
	}
	return err
}
