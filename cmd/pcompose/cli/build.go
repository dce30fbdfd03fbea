package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pcompose/pcompose/cmd/pcompose/ui"
	"github.com/pcompose/pcompose/compose"
	"github.com/pcompose/pcompose/compose/graph"
	"github.com/pcompose/pcompose/engine"
	"github.com/pcompose/pcompose/engine/execute"
	"github.com/pcompose/pcompose/planner"
	"github.com/pcompose/pcompose/planner/desired"
	"github.com/pcompose/pcompose/pod"
)

type buildOptions struct {
	services                       []string
	args                           []string
	noCache, pull, push, quiet     bool
	withDepends, check, print      bool
	builder, ssh, provenance, sbom string
	progress                       string
	memory                         size
}

func newBuild(env *Env, run action[buildOptions]) *cobra.Command {
	opt := &buildOptions{}
	cmd := command(env, "build [OPTIONS] [SERVICE...]", "Build or rebuild services", &opt.services, bind(env, opt, run))
	f := cmd.Flags()
	f.StringArrayVar(&opt.args, "build-arg", nil, "Set a build argument, NAME=VALUE, or NAME for the caller's variable")
	f.StringVar(&opt.builder, "builder", "", "Accepted and without effect: there is one builder")
	f.BoolVar(&opt.check, "check", false, "Check the Dockerfiles and build nothing")
	f.VarP(&opt.memory, "memory", "m", "Limit the memory of each RUN, as in 512m")
	f.BoolVar(&opt.noCache, "no-cache", false, "Run every instruction again")
	f.BoolVar(&opt.print, "print", false, "Print the builds as a bake file")
	f.StringVar(&opt.provenance, "provenance", "", "Add a provenance attestation; not done, with a warning")
	f.BoolVar(&opt.pull, "pull", false, "Fetch base images again")
	f.BoolVar(&opt.push, "push", false, "Push the images of the services")
	f.BoolVarP(&opt.quiet, "quiet", "q", false, "Show nothing of the builds")
	f.StringVar(&opt.sbom, "sbom", "", "Add an SBOM attestation; not done, with a warning")
	f.StringVar(&opt.ssh, "ssh", "", "Let builds use an SSH agent or keys, as in default or ID=KEY")
	f.BoolVar(&opt.withDepends, "with-dependencies", false, "Build what the services depend on too")
	// docker compose takes those that have become global, or have no effect any more, and leaves them out of its help.
	f.StringVar(&opt.progress, "progress", "", "How progress is shown: auto, tty, plain, json, quiet")
	for _, name := range []string{"compress", "force-rm", "no-rm", "parallel"} {
		f.Bool(name, true, "Accepted and without effect")
		_ = f.MarkHidden(name) // there is one of that name
	}
	_ = f.MarkHidden("progress")
	return cmd
}

func runBuild(ctx context.Context, env *Env, opt *buildOptions) error {
	if opt.progress != "" {
		env.global.progress = opt.progress
		if err := env.settle(func(string) bool { return true }); err != nil {
			return err
		}
	}
	project, spec, err := env.pod(ctx, opt.services, desired.Options{})
	if err != nil {
		return err
	}
	services := opt.services
	if opt.withDepends && len(services) > 0 {
		services = slices.Concat(services, graph.New(project.Model).Dependencies(services...))
	}
	opt.settle(env, &spec)
	plan, err := planner.BuildServices(spec, orAll(services))
	if err != nil {
		return err
	}
	if plan.Empty() {
		env.ui.Warn("No services to build")
		return nil
	}
	switch {
	case opt.print:
		return printBake(env, plan)
	case opt.check:
		for i, step := range plan.Steps {
			if a, ok := step.Action.(planner.BuildImage); ok {
				a.Check = true
				plan.Steps[i].Action, plan.Steps[i].Why = a, "asked to check"
			}
		}
	case opt.push:
		pushBuilt(plan)
	}
	if env.global.dryRun {
		return env.ui.Plan(plan)
	}
	// Images belong to no project: no lock is needed.
	return env.withEngine(func(e *engine.Engine) error {
		return runner{env, e}.build(ctx, e.Project(spec.Name), plan, opt.quiet)
	})
}

// settle changes the builds as the flags want them.
func (o *buildOptions) settle(env *Env, spec *pod.Spec) {
	for i := range spec.Builds {
		b := &spec.Builds[i]
		b.NoCache, b.Pull = b.NoCache || o.noCache, b.Pull || o.pull
		b.Memory = int64(o.memory)
		for name, value := range env.pairs(o.args) {
			b.SetArg(name, value)
		}
		if o.ssh != "" {
			id, paths, given := strings.Cut(o.ssh, "=")
			key := pod.BuildSSH{ID: id}
			if given {
				key.Paths = strings.Split(paths, ",")
			}
			b.SSH = append(slices.DeleteFunc(b.SSH, func(s pod.BuildSSH) bool { return s.ID == id }), key)
		}
	}
	for flag, value := range map[string]string{"--provenance": o.provenance, "--sbom": o.sbom} {
		if value != "" && value != "false" {
			env.ui.Warn(flag + " is ignored: images are built without attestations")
		}
	}
}

// pushBuilt adds a push of each image that the plan builds, and of all its names, to those of the file that a registry knows.
func pushBuilt(plan *planner.Plan) {
	for _, step := range plan.Steps {
		a, ok := step.Action.(planner.BuildImage)
		if !ok {
			continue
		}
		for _, tag := range slices.DeleteFunc(slices.Clone(a.Build.Tags), func(tag string) bool { return !a.Build.Registry(tag) }) {
			plan.Steps = append(plan.Steps, planner.Step{ID: len(plan.Steps) + 1, Action: planner.PushImage{Image: tag}, Why: "asked to push", After: []int{step.ID}})
		}
	}
}

// printBake prints builds as docker buildx bake reads them.
func printBake(env *Env, plan *planner.Plan) error {
	type target struct {
		Context    string            `json:"context,omitempty"`
		Contexts   map[string]string `json:"contexts,omitempty"`
		Dockerfile string            `json:"dockerfile,omitempty"`
		Inline     string            `json:"dockerfile-inline,omitempty"`
		Args       map[string]string `json:"args,omitempty"`
		Labels     map[string]string `json:"labels,omitempty"`
		Tags       []string          `json:"tags"`
		Target     string            `json:"target,omitempty"`
		CacheFrom  []string          `json:"cache-from,omitempty"`
		CacheTo    []string          `json:"cache-to,omitempty"`
		Platforms  []string          `json:"platforms,omitempty"`
		NoCache    bool              `json:"no-cache,omitempty"`
		Pull       bool              `json:"pull,omitempty"`
		Network    string            `json:"network,omitempty"`
		Output     []string          `json:"output"`
	}
	targets, names := map[string]target{}, []string{}
	for _, step := range plan.Steps {
		a, ok := step.Action.(planner.BuildImage)
		if !ok {
			continue
		}
		b := a.Build
		t := target{Context: b.Context, Contexts: b.Contexts, Dockerfile: b.Dockerfile, Inline: b.Inline, Args: b.Args, Labels: b.Labels, Tags: b.Tags,
			Target: b.Target, CacheFrom: b.CacheFrom, CacheTo: b.CacheTo, NoCache: b.NoCache, Pull: b.Pull, Network: b.Network, Output: []string{"type=docker"}}
		if t.Platforms = b.Platforms; b.Platform != "" {
			t.Platforms = []string{b.Platform}
		}
		targets[b.Services[0]], names = t, append(names, b.Services[0])
	}
	text, err := json.MarshalIndent(map[string]any{"group": map[string]any{"default": map[string]any{"targets": names}}, "target": targets}, "", "  ")
	if err != nil {
		return err
	}
	return env.ui.Text(append(text, '\n'))
}

// build carries out builds. The failure of each has the place in the file before it.
func (r runner) build(ctx context.Context, project *engine.Project, plan *planner.Plan, quiet bool) error {
	if u := r.env.ui; quiet && u.Mode != ui.Quiet {
		mode := u.Mode
		u.Mode = ui.Quiet
		defer func() { u.Mode = mode }()
	}
	err := r.execute(ctx, project, plan, nil)
	var errs []error
	for _, err := range parts(err) {
		var step *execute.StepError
		if errors.As(err, &step) && r.env.loaded != nil {
			if a, ok := step.Step.Action.(planner.BuildImage); ok {
				path := compose.Path("services", a.Build.Services[0], "build")
				err = fmt.Errorf("%s: %s: %w", r.env.loaded.At(path).Relative(r.env.dir), path, err)
			}
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
