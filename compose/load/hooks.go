package load

import (
	"fmt"
	"slices"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/pcompose/pcompose/compose"
)

// hookService is a pre_start hook as a service, by a name that makes paths of it those of the hook: it has a service's keys.
func hookService(service string, index int, h types.PreStartHook) types.ServiceConfig {
	return types.ServiceConfig{Name: fmt.Sprintf("%s.pre_start[%d]", service, index), ContainerSpec: h.ContainerSpec}
}

// inspectHooks checks the pre_start hooks of a service as it is checked itself. What a hook has from its service stands nowhere in
// it, and has been said of the service.
func inspectHooks(in *inspector, model *types.Project, s types.ServiceConfig) {
	for i, h := range s.PreStart {
		hook, before := hookService(s.Name, i, h), len(in.problems)
		in.conflicts(model, hook)
		in.references(model, hook)
		mountedTwice(in, hook, "services."+hook.Name)
		if !in.skip.Paths && !in.skip.Environment {
			in.files(hook)
		}
		at := in.places.At("services." + hook.Name)
		own := slices.DeleteFunc(slices.Clone(in.problems[before:]), func(p compose.Problem) bool { return p.At == at })
		in.problems = append(in.problems[:before], own...)
	}
}

// hooks tells of values in pre_start hooks as of those in services.
func (u *surveyor) hooks(s types.ServiceConfig) {
	for i, h := range s.PreStart {
		hook, before := hookService(s.Name, i, h), len(u.found)
		u.service(hook)
		at := u.project.At("services." + hook.Name)
		own := slices.DeleteFunc(slices.Clone(u.found[before:]), func(f Finding) bool { return f.At == at })
		u.found = append(u.found[:before], own...)
	}
}

// specsOf are the containers that a service stands for: its own and those of its pre_start hooks.
func specsOf(s types.ServiceConfig) []types.ContainerSpec {
	specs := []types.ContainerSpec{s.ContainerSpec}
	for _, h := range s.PreStart {
		specs = append(specs, h.ContainerSpec)
	}
	return specs
}
