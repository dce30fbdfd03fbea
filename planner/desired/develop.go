package desired

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/pcompose/pcompose/compose"
	"github.com/pcompose/pcompose/compose/graph"
	"github.com/pcompose/pcompose/pod"
)

// Triggers are those of the services named, of all that are enabled where none is, and of what these wait for, as docker
// compose has it. Of a trigger that has no effect there is a warning; the error is compose.Problems where one cannot be
// carried out, or where there is none at all.
func Triggers(project *compose.Project, services []string) (triggers []pod.Trigger, warnings []compose.Problem, err error) {
	d := development{project: project}
	g := graph.New(project.Model)
	wanted := g.Services()
	if len(services) > 0 {
		wanted = g.Dependencies(services...)
	}
	slices.Sort(wanted)
	for _, name := range wanted {
		if s, ok := project.Model.Services[name]; ok && s.Develop != nil {
			for i, t := range s.Develop.Watch {
				d.trigger(s, i, t)
			}
		}
	}
	if len(d.problems)+len(d.triggers)+len(d.warnings) == 0 {
		d.problems = append(d.problems, compose.Problem{Message: "none of the selected services is configured for watch", Hint: "give one a develop section with watch:"})
	}
	return d.triggers, d.warnings.Sorted(""), d.problems.Sorted("").Err()
}

// development collects the triggers of a project.
type development struct {
	project            *compose.Project
	triggers           []pod.Trigger
	problems, warnings compose.Problems
}

// TriggerPath is the path of a key of a trigger in the file.
func TriggerPath(t pod.Trigger, key string) string {
	return fmt.Sprintf("services.%s.develop.watch[%d].%s", t.Service, t.Index, key)
}

func (d *development) trigger(s types.ServiceConfig, index int, t types.Trigger) {
	trigger := pod.Trigger{
		Service: s.Name, Index: index, Path: t.Path, Action: pod.TriggerAction(t.Action), Target: t.Target,
		Ignore: t.Ignore, Include: t.Include, InitialSync: t.InitialSync,
	}
	wrong := func(key, hint, format string, args ...any) {
		p := d.project.Problem(TriggerPath(trigger, key), format, args...)
		p.Hint = hint
		d.problems = append(d.problems, p)
	}
	if list := hooks([]types.ServiceHook{t.Exec}); trigger.Action == pod.TriggerSyncExec {
		trigger.Exec = list[0]
	}
	// A URL has no files to watch, and its .dockerignore is not here.
	if s.Build != nil && path.IsAbs(s.Build.Context) {
		trigger.Context, trigger.Dockerfile = s.Build.Context, s.Build.Dockerfile
	}
	switch {
	case trigger.Action == pod.TriggerRebuild && s.Build == nil:
		wrong("action", "add build:, or use another action", "the service has nothing to build, so that it cannot be rebuilt")
		return
	case trigger.Action == pod.TriggerSyncExec && len(trigger.Exec.Command) == 0:
		wrong("exec", `add "exec:" with its "command:"`, "sync+exec needs a command to run")
		return
	case !trigger.Action.Syncs():
		trigger.Target = ""
	default:
		if !strings.HasPrefix(trigger.Target, "/") {
			trigger.Target = "/" + trigger.Target // from the root, as docker compose has it
		}
		if why := readOnlyAt(s, trigger.Target); why != "" {
			wrong("target", "sync to another target, or let the container write there", "nothing can be synced to %q: %s", t.Target, why)
			return
		}
		if source := boundFrom(s, trigger.Path); source != "" {
			d.warnings = append(d.warnings, d.project.Problem(TriggerPath(trigger, "path"),
				"path %q is in a bind mount of the service already, and is not watched", t.Path))
			return
		}
	}
	d.triggers = append(d.triggers, trigger)
}

// boundFrom is the source of a bind mount of a service that a path is in; "" for none.
func boundFrom(s types.ServiceConfig, name string) string {
	for _, v := range s.Volumes {
		if v.Type == types.VolumeTypeBind && within(name, v.Source) {
			return v.Source
		}
	}
	return ""
}

// readOnlyAt says why nobody can write to a place of a service's containers; "" where one can, as far as the file says. The
// mount that is deepest decides.
func readOnlyAt(s types.ServiceConfig, target string) string {
	target = path.Clean(target)
	why, depth := "", -1
	if s.ReadOnly {
		why = "read_only: true makes the root of the container read-only"
	}
	for _, v := range s.Volumes {
		if at := path.Clean(v.Target); within(target, at) && len(at) > depth {
			why, depth = "", len(at)
			if v.ReadOnly || v.Type == types.VolumeTypeImage {
				why = fmt.Sprintf("what is mounted at %q is read-only", v.Target)
			}
		}
	}
	for _, t := range s.Tmpfs {
		at, _, _ := strings.Cut(t, ":")
		if at = path.Clean(at); within(target, at) && len(at) > depth {
			why, depth = "", len(at)
		}
	}
	return why
}

// within says whether a path is a directory or below it.
func within(name, dir string) bool {
	return name == dir || strings.HasPrefix(name, strings.TrimSuffix(dir, "/")+"/")
}
