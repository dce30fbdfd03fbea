package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/pcompose/pcompose/compose"
	"github.com/pcompose/pcompose/compose/load"
	"github.com/pcompose/pcompose/planner/desired"
	"github.com/pcompose/pcompose/pod"
)

// loadOptions say which project is loaded; the profiles of the services named are enabled.
func (env *Env) loadOptions(services []string) load.Options {
	g := env.global
	return load.Options{
		Files: g.files, Dir: g.dir, Name: g.name, Profiles: g.profiles, EnvFiles: g.envFiles,
		Environment: env.vars, Services: services, Cwd: env.dir, Stdin: env.streams.In,
		Remotes: remotes(env),
	}
}

// load loads the project.
func (env *Env) load(ctx context.Context, services []string) (*compose.Project, error) {
	project, err := load.Load(ctx, env.loadOptions(services))
	if err == nil {
		env.resolved, env.loaded = project.Model.Environment, project
	}
	return project, err
}

// pod is the pod the project should be. What of the file is not carried out is a warning, or with --strict an error.
func (env *Env) pod(ctx context.Context, services []string, opt desired.Options) (*compose.Project, pod.Spec, error) {
	project, err := env.load(ctx, services)
	if err != nil {
		return nil, pod.Spec{}, err
	}
	env.warn(project.Warnings)
	unsupported := compose.Problems(load.Unsupported(project)).Sorted(env.dir)
	if env.global.strict && len(unsupported) > 0 {
		return nil, pod.Spec{}, unsupported
	}
	env.warn(unsupported)
	spec, err := env.desired(project, opt)
	return project, spec, err
}

// desired is the pod of a project, as the global flags want it.
func (env *Env) desired(project *compose.Project, opt desired.Options) (pod.Spec, error) {
	opt.AllResources = env.global.allResources
	if env.global.compatible {
		opt.Separator = "_"
	}
	return desired.Pod(project, opt)
}

func (env *Env) warn(problems []compose.Problem) {
	for _, p := range problems {
		env.ui.Warn(p.Error())
	}
}

// target is the project a command is about. Spec is what its file says, nil where there is no file that loads:
// then the command works on what is remembered.
type target struct {
	name string
	spec *pod.Spec
}

// target finds the project. Where its name is given, a file that is missing or does not load is no obstacle,
// unless it was named too.
func (env *Env) target(ctx context.Context) (target, error) {
	project, err := env.load(ctx, nil)
	if err == nil {
		var spec pod.Spec
		if spec, err = env.desired(project, desired.Options{}); err == nil {
			return target{project.Name, &spec}, nil
		}
	}
	if env.global.name != "" && len(env.global.files) == 0 {
		return target{name: env.global.name}, nil
	}
	return target{}, err
}

// checkServices refuses names of services that neither the file nor the pod has.
func (t target) checkServices(observed pod.Status, services []string) error {
	var known []string
	if t.spec != nil {
		for _, c := range t.spec.Containers {
			known = append(known, c.Service)
		}
		for _, p := range t.spec.Providers {
			known = append(known, p.Service)
		}
	}
	for _, p := range observed.Providers {
		known = append(known, p.Service)
	}
	for _, c := range observed.Containers {
		known = append(known, c.Service)
	}
	for _, s := range services {
		if slices.Contains(known, s) {
			continue
		}
		if hint := compose.DidYouMean(s, known); hint != "" {
			return fmt.Errorf("no such service: %q (%s)", s, hint)
		}
		if slices.Sort(known); len(known) > 0 {
			return fmt.Errorf("no such service: %q (there are %s)", s, strings.Join(slices.Compact(known), ", "))
		}
		return fmt.Errorf("no such service: %q", s)
	}
	return nil
}

// find is a service's container by its number; 0 is the first there is.
func find(observed pod.Status, service string, index int) (pod.ContainerStatus, error) {
	for _, c := range observed.Containers {
		if c.Service == service && !c.OneOff && (index == 0 || c.Replica == index) {
			return c, nil
		}
	}
	if index > 0 {
		return pod.ContainerStatus{}, fmt.Errorf("service %q has no container %d", service, index)
	}
	return pod.ContainerStatus{}, fmt.Errorf("service %q is not running: it has no container", service)
}

// shortName is a container's name as logs show it: without the project, unless the file names the container.
func shortName(project string, c pod.Container) string {
	if rest, ok := strings.CutPrefix(c.Name, project); ok && strings.IndexAny(rest, "-_") == 0 {
		return rest[1:]
	}
	return c.Name
}

// chosen are the containers of the named services; none named are all. One-off containers must be named.
func chosen(observed pod.Status, services []string) []pod.ContainerStatus {
	return slices.DeleteFunc(slices.Clone(observed.Containers), func(c pod.ContainerStatus) bool {
		if len(services) == 0 {
			return c.OneOff && c.Hook == ""
		}
		return !slices.Contains(services, c.Service)
	})
}

// orAll turns no names into nil, by which planner means all.
func orAll(services []string) []string {
	if len(services) == 0 {
		return nil
	}
	return services
}
