package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/pcompose/pcompose/compose"
	"github.com/pcompose/pcompose/planner/desired"
	"github.com/pcompose/pcompose/pod"
)

// desire loads the project and the pod that the flags want of it.
func (s *selection) desire(ctx context.Context, env *Env) (*compose.Project, pod.Spec, error) {
	env.ui.Yes, s.allVolumes = s.yes, env.global.allResources
	project, spec, err := env.pod(ctx, s.services, desired.Options{Scale: s.scale})
	if err != nil {
		return nil, pod.Spec{}, err
	}
	if s.asks {
		if err := confirmRemote(ctx, env, project, nil); err != nil {
			return nil, pod.Spec{}, err
		}
	}
	s.built = map[string]types.ServiceConfig{}
	for _, name := range slices.Sorted(maps.Keys(project.Model.Services)) {
		if service := project.Model.Services[name]; service.Build != nil {
			s.built[name] = service
		}
	}
	if s.build || s.pull == "build" {
		err = s.cannotBuild(project, spec)
	}
	return project, spec, err
}

// cannotBuild refuses --build of services that have something to build.
func (s *selection) cannotBuild(project *compose.Project, spec pod.Spec) error {
	services := s.services
	if len(services) > 0 && !s.noDeps {
		services = withDependencies(spec, services)
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(s.built)) {
		if len(services) == 0 || slices.Contains(services, name) {
			p := project.Problem("services."+name+".build", "pcompose does not build images yet")
			p.Hint = "build it with " + howToBuild(project.Name, s.built[name]) + ", then leave --build out"
			errs = append(errs, p)
		}
	}
	return errors.Join(errs...)
}

// notBuilt refuses a container whose image would have to be built: it is not in the store, and it is in no registry, or
// --no-build says that it should be here.
func (s *selection) notBuilt(spec pod.Spec, c pod.Container) error {
	service, ok := s.built[c.Service]
	if !ok || c.Hook != "" || service.Image != "" && !s.noBuild {
		return nil
	}
	return fmt.Errorf("cannot create container %q: image %q is not in the store, and pcompose does not build images yet: build it with %s",
		c.Name, c.Image, howToBuild(spec.Name, service))
}

// howToBuild is a command that makes a service's image in the store that pcompose reads.
func howToBuild(project string, s types.ServiceConfig) string {
	return fmt.Sprintf("`buildah build -t %s %s`", cmp.Or(s.Image, project+"-"+s.Name), cmp.Or(s.Build.Context, "."))
}
