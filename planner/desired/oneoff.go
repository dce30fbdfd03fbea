package desired

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"path"
	"slices"

	"github.com/compose-spec/compose-go/v2/format"
	"github.com/compose-spec/compose-go/v2/types"

	"github.com/pcompose/pcompose/compose"
	"github.com/pcompose/pcompose/compose/graph"
	"github.com/pcompose/pcompose/pod"
)

// OneOff is what `run` asks for over what the file says of a service. Zero values leave it to the file.
type OneOff struct {
	Service string
	// Slug is 64 hexadecimal digits that no other one-off container has; Name "" is PROJECT-SERVICE-run- and the first 12.
	Name, Slug string
	// Command nil is the file's. An Entrypoint that is not nil drops the file's command.
	Command, Entrypoint []string
	Env, Labels         map[string]string
	User, WorkingDir    string
	CapAdd, CapDrop     []string
	// Volumes and Ports are in the short forms of the file; relative paths begin at Dir.
	Volumes, Ports []string
	Dir            string
	// ServicePorts publishes the ports of the service too.
	ServicePorts bool
	TTY, Stdin   bool
	// Detached containers belong to nobody: their restart policy and log are the file's, their stdin stays open. Others
	// end with the caller's input, do not restart, and keep all that they write until they are removed.
	Detached bool
	// AutoRemove lets a detached container go once it has ended.
	AutoRemove bool
}

// Run is the pod as Pod has it, with the volumes that the one-off container mounts too, and that container, which is not
// one of the pod's.
func Run(project *compose.Project, opts Options, one OneOff) (pod.Spec, pod.Container, error) {
	spec, err := Pod(project, opts)
	if err != nil {
		return spec, pod.Container{}, err
	}
	s, ok := project.Model.Services[one.Service]
	if !ok {
		return spec, pod.Container{}, compose.Problems{{Message: fmt.Sprintf("no such service: %q", one.Service),
			Hint: compose.DidYouMean(one.Service, slices.Collect(maps.Keys(project.Model.Services)))}}
	}
	if one.Name != "" && !pod.ValidName(one.Name) {
		return spec, pod.Container{}, fmt.Errorf("--name: %q is no name of a container: begin it with a letter or digit, and go on with those and _ . -", one.Name)
	}
	t := &translation{project: project, opts: opts, graph: graph.New(project.Model), volumes: map[string]pod.Volume{}}
	t.choose()
	if s, err = one.over(s); err != nil {
		return spec, pod.Container{}, err
	}
	c := one.container(t, s)
	for _, key := range slices.Sorted(maps.Keys(t.volumes)) {
		if v := t.volumes[key]; !slices.ContainsFunc(spec.Volumes, func(o pod.Volume) bool { return o.Name == v.Name }) {
			spec.Volumes = append(spec.Volumes, v)
		}
	}
	slices.SortFunc(spec.Volumes, func(a, b pod.Volume) int { return cmp.Compare(a.Name, b.Name) })
	return spec, c, t.problems.Sorted("").Err()
}

func (one OneOff) container(t *translation, s types.ServiceConfig) pod.Container {
	c := t.container(s)
	c.OneOff, c.Replica, c.AutoRemove = true, 1, one.AutoRemove
	if c.Name = one.Name; c.Name == "" {
		c.Name = fmt.Sprintf("%s-%s-run-%.12s", t.project.Name, s.Name, one.Slug)
	}
	c.Listens = t.listens(s)
	c.Labels = t.labels(s, 1)
	delete(c.Labels, labelNumber) // docker compose numbers none of them
	c.Labels[labelOneOff], c.Labels[pod.LabelSlug] = "True", one.Slug
	c.Ports = t.ports(s, c.Name, 1, 1)
	if !one.Detached {
		c.StdinOnce, c.Restart = c.Stdin, pod.Restart{}
		// The caller reads the log, at its own pace: what is rotated away before would be missing in the middle of a dump.
		c.Log = pod.Log{Driver: pod.LogFile, MaxFiles: math.MaxInt32}
	}
	return c
}

// over is the service as the flags change it.
func (one OneOff) over(s types.ServiceConfig) (types.ServiceConfig, error) {
	if !one.ServicePorts {
		s.Ports, s.Expose = nil, nil
	}
	s.Ports = slices.Clone(s.Ports)
	for _, text := range one.Ports {
		ports, err := types.ParsePortConfig(text)
		if err != nil {
			return s, fmt.Errorf("--publish: %q is no port: %w", text, err)
		}
		s.Ports = append(s.Ports, ports...)
	}
	for _, text := range one.Volumes {
		v, err := format.ParseVolume(text)
		if err != nil || !path.IsAbs(v.Target) {
			return s, fmt.Errorf("--volume: %q is not SOURCE:TARGET[:ro] with an absolute target", text)
		}
		if v.Type == types.VolumeTypeBind && !path.IsAbs(v.Source) {
			v.Source = path.Join(one.Dir, v.Source)
		}
		same := func(o types.ServiceVolumeConfig) bool { return o.Target == v.Target }
		s.Volumes = append(slices.DeleteFunc(slices.Clone(s.Volumes), same), v)
	}
	for _, name := range slices.Concat(one.CapAdd, one.CapDrop) {
		if _, ok := pod.Capability(name); !ok {
			return s, fmt.Errorf("--cap-add and --cap-drop: no capability is named %q", name)
		}
	}
	s.CapAdd, s.CapDrop = slices.Concat(s.CapAdd, one.CapAdd), slices.Concat(s.CapDrop, one.CapDrop)
	if one.Entrypoint != nil {
		s.Entrypoint, s.Command = one.Entrypoint, []string{}
	}
	if one.Command != nil {
		s.Command = one.Command
	}
	s.User, s.WorkingDir = cmp.Or(one.User, s.User), cmp.Or(one.WorkingDir, s.WorkingDir)
	s.Tty, s.StdinOpen = one.TTY, one.Stdin
	s.Environment = maps.Clone(s.Environment)
	if s.Environment == nil {
		s.Environment = types.MappingWithEquals{}
	}
	for name, value := range one.Env {
		s.Environment[name] = &value
	}
	s.Labels = maps.Clone(s.Labels)
	if s.Labels == nil {
		s.Labels = types.Labels{}
	}
	maps.Copy(s.Labels, one.Labels)
	return s, nil
}
