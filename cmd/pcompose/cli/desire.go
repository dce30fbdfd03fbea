package cli

import (
	"context"

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
	return project, spec, nil
}
