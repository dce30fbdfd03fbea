package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/pcompose/pcompose/planner"
	"github.com/pcompose/pcompose/pod"
)

// selection are the flags that say what the pod should be and what may be replaced: those of up, create and plan.
type selection struct {
	services                                           []string
	forceRecreate, noRecreate, recreateDeps, noDeps    bool
	renewAnonymous, removeOrphans, ignoreOrphans, wait bool
	noStart                                            bool
	build, noBuild, yes, allVolumes, quietBuild        bool
	pull                                               string
	grace                                              *time.Duration
	scale                                              map[string]int
	// watcher is to watch files in the background; nil leaves that as it is.
	watcher *pod.Watcher
	// asks says that a project from elsewhere is asked about: what starts its containers does.
	asks bool
}

func (s *selection) bind(f *pflag.FlagSet, env *Env) {
	f.BoolVar(&s.forceRecreate, "force-recreate", false, "Recreate containers even if nothing changed")
	f.BoolVar(&s.noRecreate, "no-recreate", false, "Keep containers that exist, even if something changed")
	f.BoolVar(&s.recreateDeps, "always-recreate-deps", false, "Recreate the containers depended on too")
	f.BoolVarP(&s.renewAnonymous, "renew-anon-volumes", "V", false, "Make anonymous volumes anew instead of taking them over")
	f.BoolVar(&s.removeOrphans, "remove-orphans", isTrue(env.getenv("COMPOSE_REMOVE_ORPHANS")), "Remove containers of services the file does not have")
	f.BoolVar(&s.build, "build", false, "Build images first, also those that are there")
	f.BoolVar(&s.noBuild, "no-build", false, "Build no image: one that would have to be is an error")
	f.BoolVarP(&s.yes, "yes", "y", false, "Answer every question with yes")
	f.StringVar(&s.pull, "pull", "policy", "Pull images before running: always, missing, never, policy (what the file says)")
	f.VarP(&seconds{&s.grace}, "timeout", "t", "Seconds a container has to stop before it is killed")
	scaleFlag(f, &s.scale)
	s.ignoreOrphans = isTrue(env.getenv("COMPOSE_IGNORE_ORPHANS"))
}

func (s *selection) check() error {
	switch {
	case s.forceRecreate && s.noRecreate:
		return errors.New("--force-recreate and --no-recreate contradict each other")
	case s.recreateDeps && s.noRecreate:
		return errors.New("--always-recreate-deps and --no-recreate contradict each other")
	case s.build && s.noBuild:
		return errors.New("--build and --no-build contradict each other")
	case s.removeOrphans && s.ignoreOrphans:
		return errors.New("--remove-orphans and COMPOSE_IGNORE_ORPHANS contradict each other")
	}
	return oneOf("--pull", s.pull, "always", "missing", "never", "policy", "build")
}

// options are what planner.Up is asked for.
func (s *selection) options() planner.UpOptions {
	opt := planner.UpOptions{
		Services: orAll(s.services), OnlyNamed: s.noDeps && len(s.services) > 0, CreateOnly: s.noStart, RenewAnonymous: s.renewAnonymous,
		RemoveOrphans: s.removeOrphans, IgnoreOrphans: s.ignoreOrphans, AllVolumes: s.allVolumes, Wait: s.wait, Grace: s.grace, ForceDependencies: s.recreateDeps,
		Watcher: s.watcher,
	}
	switch {
	case s.forceRecreate:
		opt.Recreate = planner.RecreateAll
	case s.noRecreate:
		opt.Recreate = planner.RecreateNone
	}
	switch {
	case s.build || s.pull == "build":
		opt.Build = planner.BuildAll
	case s.noBuild:
		opt.Build = planner.BuildNone
	}
	return opt
}

// bringUp carries out the plan that makes the pod what spec says.
func (r runner) bringUp(ctx context.Context, spec pod.Spec, s *selection, quietPull bool) (*planner.Plan, error) {
	return r.carryOut(ctx, r.rise(spec, s, quietPull))
}

// rise is the change that makes the pod what spec says.
func (r runner) rise(spec pod.Spec, s *selection, quietPull bool) change {
	var agreed *planner.UpOptions
	return change{
		name: spec.Name, want: &spec, remember: true,
		before: func(ctx context.Context, observed pod.Status) (bool, error) {
			return r.prepare(ctx, spec, observed, s, quietPull)
		},
		plan: func(observed pod.Status) (*planner.Plan, error) {
			if agreed == nil { // the user is asked once, though planning may be done again
				opt := s.agreed(r.env, spec, observed, !r.env.global.dryRun && isTerminal(r.env.streams.In))
				opt.Provided, opt.Built = !r.env.global.dryRun, !r.env.global.dryRun
				agreed = &opt
			}
			plan, err := planner.Up(spec, observed, *agreed)
			return plan, locate(r.env.loaded, err)
		},
	}
}

// prepare does what comes before the plan that makes the pod what spec says: it pulls what must be newer, builds images, and
// runs the providers, where nothing else stands in the way. It says whether it did something.
func (r runner) prepare(ctx context.Context, spec pod.Spec, observed pod.Status, s *selection, quietPull bool) (bool, error) {
	pulling, err := s.needs(spec, observed)
	if err != nil {
		return false, err
	}
	building, err := planner.Build(spec, observed, s.options())
	if err != nil {
		return false, locate(r.env.loaded, err)
	}
	providing := planner.Provide(spec, observed, s.options())
	switch {
	case !providing.Empty():
		_, err = planner.Up(spec, observed, s.options())
	case !pulling.Empty() || !building.Empty():
		err = planner.Check(spec, observed, s.options())
	}
	if err != nil {
		return false, locate(r.env.loaded, err)
	}
	project := r.e.Project(spec.Name)
	pulled, err := r.prepull(ctx, project, pulling, quietPull)
	if err != nil {
		return false, err
	}
	if err := r.build(ctx, project, building, s.quietBuild); err != nil {
		return false, err
	}
	provided, err := r.provide(ctx, spec, observed.Spec, providing)
	return pulled || provided || !building.Empty(), err
}

// agreed are the options with what the user agrees to lose. Where nobody can answer a volume stays, and the plan has a
// note of it.
func (s *selection) agreed(env *Env, spec pod.Spec, observed pod.Status, ask bool) planner.UpOptions {
	opt := s.options()
	for _, name := range planner.Diverged(spec, observed, opt) {
		if (env.ui.Yes || ask) && env.ui.Confirm(fmt.Sprintf("volume %q exists but doesn't match configuration in compose file. Recreate (data will be lost)?", name)) {
			opt.RecreateVolumes = append(opt.RecreateVolumes, name)
		}
	}
	return opt
}
