package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/spf13/cobra"

	"github.com/pcompose/pcompose/cmd/pcompose/ui"
	"github.com/pcompose/pcompose/compose/graph"
	"github.com/pcompose/pcompose/engine"
	"github.com/pcompose/pcompose/planner"
	"github.com/pcompose/pcompose/planner/desired"
	"github.com/pcompose/pcompose/pod"
)

type pullOptions struct {
	services                           []string
	policy                             string
	quiet, ignoreFailures, withDepends bool
	ignoreBuildable                    bool
}

func newPull(env *Env, run action[pullOptions]) *cobra.Command {
	opt := &pullOptions{}
	cmd := command(env, "pull [OPTIONS] [SERVICE...]", "Pull service images", &opt.services, bind(env, opt, run))
	f := cmd.Flags()
	f.StringVar(&opt.policy, "policy", "", "Which images to pull: always, missing (default: what the file says, else always)")
	f.BoolVar(&opt.ignoreBuildable, "ignore-buildable", false, "Leave out the images of services that can be built")
	f.BoolVarP(&opt.quiet, "quiet", "q", false, "Pull without showing progress")
	f.BoolVar(&opt.ignoreFailures, "ignore-pull-failures", false, "Pull what can be had, ignore what cannot")
	f.BoolVar(&opt.withDepends, "include-deps", false, "Pull what the services depend on too")
	return cmd
}

func runPull(ctx context.Context, env *Env, opt *pullOptions) error {
	if err := oneOf("--policy", opt.policy, "always", "missing"); err != nil {
		return err
	}
	project, err := env.load(ctx, opt.services)
	if err != nil {
		return err
	}
	spec, err := env.desired(project, desired.Options{})
	if err != nil {
		return err
	}
	services := opt.services
	if opt.withDepends && len(services) > 0 {
		services = slices.Concat(services, graph.New(project.Model).Dependencies(services...))
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
	plan := pulls(spec, services, func(c pod.Container) string {
		_, have := observed.Images[c.Image]
		return opt.why(pulledFor(project.Model.Services[c.Service], c), have)
	})
	if env.global.dryRun {
		return env.ui.Plan(plan)
	}
	if opt.quiet {
		env.ui.Mode = ui.Quiet
	}
	// Images belong to no project: no lock is needed.
	err = runner{env, e}.execute(ctx, e.Project(spec.Name), plan, nil)
	if opt.ignoreFailures && err != nil && ctx.Err() == nil {
		env.ui.Warn(err.Error())
		return nil
	}
	return err
}

// pulledFor is the service that says how a container's image is pulled: for a pre_start hook with an image of its own, what
// the hook says.
func pulledFor(s types.ServiceConfig, c pod.Container) types.ServiceConfig {
	for i, h := range s.PreStart {
		if c.Hook == fmt.Sprintf("pre_start[%d]", i) {
			return types.ServiceConfig{Name: s.Name, ContainerSpec: h.ContainerSpec}
		}
	}
	return s
}

// why says why a service's image is pulled, "" for not: its policy, or the one asked for, says whether one that is
// there is. An image without a name of its own is in no registry.
func (o *pullOptions) why(s types.ServiceConfig, have bool) string {
	policy := cmp.Or(o.policy, s.PullPolicy)
	switch {
	case s.Build != nil && (s.Image == "" || o.ignoreBuildable):
		return ""
	case s.PullPolicy == types.PullPolicyNever || s.PullPolicy == types.PullPolicyBuild:
		return ""
	case !have:
		return "not in the store"
	case policy == types.PullPolicyMissing || policy == types.PullPolicyIfNotPresent:
		return ""
	}
	return "asked to pull"
}

// pulls is a plan that pulls the images of services, each once, for which why gives a reason.
func pulls(spec pod.Spec, services []string, why func(pod.Container) string) *planner.Plan {
	plan, seen := &planner.Plan{Project: spec.Name}, map[string]bool{}
	for _, c := range withHooks(spec.Containers) {
		if seen[c.Image] || len(services) > 0 && !slices.Contains(services, c.Service) {
			continue
		}
		if reason := why(c); reason != "" {
			seen[c.Image] = true
			action := planner.PullImage{Image: c.Image, Platform: c.Platform}
			plan.Steps = append(plan.Steps, planner.Step{ID: len(plan.Steps) + 1, Action: action, Why: reason})
		}
	}
	return plan
}

// withHooks is containers, each followed by its pre_start hooks that have another image.
func withHooks(containers []pod.Container) []pod.Container {
	var all []pod.Container
	for _, c := range containers {
		all = append(all, c)
		for _, h := range c.PreStart {
			if h.Image != c.Image {
				all = append(all, h)
			}
		}
	}
	return all
}

// needs is the plan of pulls that must come before up can plan: images that are to be newer than the store has
// them. It fails, for --pull never, on what would have to be pulled.
func (s *selection) needs(spec pod.Spec, observed pod.Status) (*planner.Plan, error) {
	var missing []error
	services := s.services
	if len(services) > 0 && !s.noDeps {
		services = withDependencies(spec, services)
	}
	plan := pulls(spec, services, func(c pod.Container) string {
		_, have := observed.Images[c.Image]
		build, builds := spec.BuildOf(c.Image)
		switch {
		case builds && (s.options().Build != planner.BuildNone || !build.Registry(c.Image)):
			return "" // planner.Build has its registry asked
		case s.pull == "always":
			return "asked to pull"
		case s.pull == "policy": // planner.Up pulls what is missing
			return planner.WhyPullAgain(c, observed.Images)
		case have:
			return ""
		case s.pull == "never":
			missing = append(missing, errNotPulled(c))
			return ""
		}
		return "not in the store"
	})
	return plan, errors.Join(missing...)
}

// prepull carries out pulls, and says whether there were any: only the image that came shows what changed.
func (r runner) prepull(ctx context.Context, project *engine.Project, plan *planner.Plan, quiet bool) (bool, error) {
	if u := r.env.ui; quiet && u.Mode != ui.Quiet {
		mode := u.Mode
		u.Mode = ui.Quiet
		defer func() { u.Mode = mode }()
	}
	return !plan.Empty(), r.execute(ctx, project, plan, nil)
}
