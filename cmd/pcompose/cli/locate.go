package cli

import (
	"cmp"
	"errors"
	"strconv"
	"strings"

	"github.com/pcompose/pcompose/compose"
	"github.com/pcompose/pcompose/planner"
	"github.com/pcompose/pcompose/pod"
)

// locate puts the place in the file before each error about what the file names and does not exist.
func locate(project *compose.Project, err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var errs []error
		for _, e := range joined.Unwrap() {
			errs = append(errs, locate(project, e))
		}
		return errors.Join(errs...)
	}
	var absent *planner.Absent
	var taken *planner.PortTaken
	switch {
	case project == nil:
		return err
	case errors.As(err, &taken):
		return compose.Problem{At: placeOfPort(project, taken.Service, taken.Port), Message: err.Error()}
	case !errors.As(err, &absent):
		return err
	}
	p := compose.Problem{At: project.At(placeOf(project, absent)), Message: err.Error()}
	if absent.Kind == planner.AbsentProgram {
		p.Hint = compose.DidYouMean(absent.Name, absent.Search.Known)
	}
	return p
}

// placeOfPort is where the file publishes a port. A host port is one of a range, perhaps.
func placeOfPort(project *compose.Project, service string, port pod.Port) compose.Position {
	for _, p := range project.Model.Services[service].Ports {
		low, high, isRange := strings.Cut(p.Published, "-")
		from, _ := strconv.ParseUint(low, 10, 16) // load has refused what is no number
		to := from
		if isRange {
			to, _ = strconv.ParseUint(high, 10, 16)
		}
		n := uint64(port.HostPort)
		if p.HostIP == port.HostIP && p.Protocol == port.Protocol && p.Target == uint32(port.ContainerPort) && from <= n && n <= to {
			return project.AtPort(service, p)
		}
	}
	return project.At("services." + service + ".ports")
}

// noted is a note of a plan of a project in words, behind the place of what it is about.
func noted(env *Env, project string, n planner.Note) string {
	if n.Service == "" || env.loaded == nil || env.loaded.Name != project {
		return n.Text
	}
	p := compose.Problem{At: placeOfPort(env.loaded, n.Service, n.Port), Message: n.Text}
	return compose.Problems{p}.Sorted(env.dir)[0].Error()
}

// placeOf is where the file names what is absent.
func placeOf(project *compose.Project, a *planner.Absent) string {
	model := project.Model
	switch a.Kind {
	case planner.AbsentContainer:
		return "services." + a.Service + ".volumes_from.container:" + a.Name
	case planner.AbsentOwner:
		return "services." + a.Service + ".network_mode"
	case planner.AbsentProgram:
		return "services." + a.Service + ".provider.type"
	case planner.AbsentSecret:
		s := model.Services[a.Service]
		for _, r := range s.Secrets {
			if o := model.Secrets[r.Source]; bool(o.External) && cmp.Or(o.Name, r.Source) == a.Name {
				return "secrets." + r.Source
			}
		}
		for _, r := range s.Configs {
			if o := model.Configs[r.Source]; bool(o.External) && cmp.Or(o.Name, r.Source) == a.Name {
				return "configs." + r.Source
			}
		}
	case planner.AbsentNetwork:
		for key, n := range model.Networks {
			if n.Name == a.Name {
				return "networks." + key
			}
		}
	case planner.AbsentVolume:
		for key, v := range model.Volumes {
			if v.Name == a.Name {
				return "volumes." + key
			}
		}
	}
	return "services." + a.Service
}
