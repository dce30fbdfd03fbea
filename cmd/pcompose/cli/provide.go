package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/pcompose/pcompose/compose"
	"github.com/pcompose/pcompose/engine"
	"github.com/pcompose/pcompose/engine/execute"
	"github.com/pcompose/pcompose/planner"
	"github.com/pcompose/pcompose/pod"
)

// provide runs the providers of a plan, and says whether there were any: what they give is part of what is planned then. was
// is what the pod was told to be, nil for none. What their programs say against options comes before the first is run.
func (r runner) provide(ctx context.Context, spec pod.Spec, was *pod.Spec, plan *planner.Plan) (bool, error) {
	if plan.Empty() {
		return false, nil
	}
	var providers []pod.Provider
	for _, step := range plan.Steps {
		if run, ok := step.Action.(planner.RunProvider); ok {
			providers = append(providers, run.Provider)
		}
	}
	problems, err := engine.CheckProviders(ctx, r.e, providers)
	if err != nil {
		return false, locate(r.env.loaded, err)
	}
	if err := judge(r.env, problems); err != nil {
		return false, err
	}
	project := r.e.Project(spec.Name)
	// A program that is killed may have made something: down must find it. Of the pod there is, nothing else changes yet.
	if was != nil {
		providers := spec.Providers
		spec = *was
		spec.Providers = providers
	}
	if err := project.Remember(ctx, spec); err != nil {
		return false, err
	}
	return true, located(r.env, r.execute(ctx, project, plan, nil))
}

// judge warns of options that a program does not take, and refuses what lacks one that up requires. With --strict the
// warnings are refused too.
func judge(env *Env, problems []engine.OptionProblem) error {
	var warnings, errs compose.Problems
	for _, o := range problems {
		path := "services." + o.Service + ".provider"
		switch {
		case !o.Missing:
			p := env.loaded.Problem(path+".options."+o.Option, "%q is no option of provider %q and is not passed to it", o.Option, o.Type)
			p.Hint = compose.DidYouMean(o.Option, o.Known)
			warnings = append(warnings, p)
		case o.Command == planner.ProviderUp:
			p := env.loaded.Problem(path, "provider %q requires the option %q", o.Type, o.Option)
			p.Hint = fmt.Sprintf("add it below options: %s: VALUE", o.Option)
			errs = append(errs, p)
		default:
			warnings = append(warnings, env.loaded.Problem(path, "provider %q requires the option %q for %s, which will fail", o.Type, o.Option, o.Command))
		}
	}
	if env.global.strict {
		errs, warnings = slices.Concat(errs, warnings), nil
	}
	env.warn(warnings.Sorted(env.dir))
	return errs.Sorted(env.dir).Err()
}

// located puts the place in the file before the failure of each provider.
func located(env *Env, err error) error {
	if err == nil {
		return nil
	}
	var errs []error
	for _, err := range parts(err) {
		var step *execute.StepError
		if errors.As(err, &step) {
			if run, ok := step.Step.Action.(planner.RunProvider); ok {
				path := "services." + run.Provider.Service + ".provider"
				err = fmt.Errorf("%s: %s: %w", env.loaded.At(path).Relative(env.dir), path, err)
			}
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// environ is the environment of programs that are run for the project: its own, with that of its .env files.
func environ(env *Env) []string {
	var list []string
	for name := range env.vars {
		value, _ := env.lookup(name)
		list = append(list, name+"="+value)
	}
	for name, value := range env.resolved {
		if _, known := env.vars[name]; !known {
			list = append(list, name+"="+value)
		}
	}
	slices.Sort(list)
	return list
}
