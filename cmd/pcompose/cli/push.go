package cli

import (
	"context"
	"errors"
	"slices"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/spf13/cobra"

	"github.com/pcompose/pcompose/cmd/pcompose/ui"
	"github.com/pcompose/pcompose/compose/graph"
	"github.com/pcompose/pcompose/engine"
	"github.com/pcompose/pcompose/planner"
)

type pushOptions struct {
	services                           []string
	ignoreFailures, quiet, withDepends bool
}

func newPush(env *Env, run action[pushOptions]) *cobra.Command {
	opt := &pushOptions{}
	cmd := command(env, "push [OPTIONS] [SERVICE...]", "Push service images", &opt.services, bind(env, opt, run))
	f := cmd.Flags()
	f.BoolVar(&opt.ignoreFailures, "ignore-push-failures", false, "Push what can be pushed, ignore what cannot")
	f.BoolVar(&opt.withDepends, "include-deps", false, "Push the images of what the services depend on too")
	f.BoolVarP(&opt.quiet, "quiet", "q", false, "Push without showing progress")
	return cmd
}

func runPush(ctx context.Context, env *Env, opt *pushOptions) error {
	project, err := env.load(ctx, opt.services)
	if err != nil {
		return err
	}
	services := opt.services
	if opt.withDepends && len(services) > 0 {
		services = slices.Concat(services, graph.New(project.Model).Dependencies(services...))
	}
	if opt.quiet {
		env.ui.Mode = ui.Quiet
	}
	plan, skipped := pushes(project.Model, services)
	for _, name := range skipped {
		env.ui.Say(" %s Skipped", name)
	}
	return pushImages(ctx, env, plan, opt.ignoreFailures)
}

// pushes is a plan that pushes the images that services build, by all their names, and the services that build none, or one
// without a name that a registry would know.
func pushes(model *types.Project, services []string) (plan *planner.Plan, skipped []string) {
	plan = &planner.Plan{Project: model.Name}
	seen := map[string]bool{}
	for _, name := range graph.New(model).Order() {
		s := model.Services[name]
		switch {
		case len(services) > 0 && !slices.Contains(services, name):
			continue
		case s.Build == nil || s.Image == "":
			skipped = append(skipped, name)
			continue
		}
		for _, image := range slices.Concat([]string{s.Image}, s.Build.Tags) {
			if !seen[image] {
				seen[image] = true
				plan.Steps = append(plan.Steps, planner.Step{ID: len(plan.Steps) + 1, Action: planner.PushImage{Image: image}, Why: "service " + name + " builds it"})
			}
		}
	}
	return plan, skipped
}

// pushImages carries out pushes, or with --dry-run prints them. Failures that are ignored are warnings.
func pushImages(ctx context.Context, env *Env, plan *planner.Plan, ignoreFailures bool) error {
	if env.global.dryRun {
		return env.ui.Plan(plan)
	}
	if plan.Empty() {
		return nil
	}
	return env.withEngine(func(e *engine.Engine) error {
		// Images belong to no project: no lock is needed.
		run := func(plan *planner.Plan) error { return runner{env, e}.execute(ctx, e.Project(plan.Project), plan, nil) }
		if !ignoreFailures {
			return run(plan)
		}
		// One by one: a failure ends a plan, and is not to end the others.
		for _, step := range plan.Steps {
			step.ID = 1
			err := run(&planner.Plan{Project: plan.Project, Steps: []planner.Step{step}})
			if ctx.Err() != nil {
				return errors.Join(err, context.Cause(ctx))
			}
			if err != nil {
				env.ui.Warn(err.Error())
			}
		}
		return nil
	})
}
