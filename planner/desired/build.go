package desired

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/pcompose/pcompose/pod"
)

// construction is the part of a translation that is about images.
type construction struct{ *translation }

// builds are the images that services build, those that are not wanted too, and those of inactive profiles that others are
// made of. What is built alike
// for several services is built once.
func (t construction) builds() []pod.Build {
	var all []pod.Build
	services := t.graph.Services()
	for i := 0; i < len(services); i++ { // those of others come behind
		s := t.project.Model.AllServices()[services[i]]
		if s.Build == nil {
			continue
		}
		b := t.build(s)
		for _, name := range b.After {
			if !slices.Contains(services, name) {
				services = append(services, name)
			}
		}
		same := slices.IndexFunc(all, func(o pod.Build) bool { return alike(o, b) })
		if same < 0 {
			all = append(all, b)
			continue
		}
		names := all[same].Tags[:len(all[same].Services)]
		rest := all[same].Tags[len(all[same].Services):]
		all[same].Tags = compact(slices.Concat(names, b.Tags[:1], rest, b.Tags[1:]))
		all[same].Services = append(all[same].Services, b.Services...)
		all[same].Unnamed = append(all[same].Unnamed, b.Unnamed...)
	}
	slices.SortFunc(all, func(a, b pod.Build) int { return strings.Compare(a.Image(), b.Image()) })
	return all
}

// alike says whether two services build the same, but for its names and the labels that say whose it is.
func alike(a, b pod.Build) bool {
	a.Services, b.Services, a.Tags, b.Tags = nil, nil, nil, nil
	a.Unnamed, b.Unnamed = nil, nil
	a.Labels, b.Labels = maps.Clone(a.Labels), maps.Clone(b.Labels)
	delete(a.Labels, labelService)
	delete(b.Labels, labelService)
	return reflect.DeepEqual(a, b)
}

// compact is a list without doubles, in its order.
func compact(list []string) []string {
	var out []string
	for _, s := range list {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// build is what a service builds. compose-go has made its paths absolute and filled in its arguments.
func (t construction) build(s types.ServiceConfig) pod.Build {
	b := s.Build
	out := pod.Build{
		Services: []string{s.Name}, Tags: compact(append([]string{imageOf(t.translation, s)}, b.Tags...)),
		Context: b.Context, Dockerfile: b.Dockerfile, Inline: b.DockerfileInline, Target: b.Target,
		Labels:    map[string]string{},
		CacheFrom: b.CacheFrom, CacheTo: b.CacheTo, ExtraHosts: hosts(b.ExtraHosts),
		NoCache: b.NoCache || len(b.NoCacheFilter) > 0, Pull: b.Pull, Network: b.Network, ShmSize: int64(b.ShmSize), Privileged: b.Privileged,
		Ulimits: ulimits(b.Ulimits), Platform: s.Platform,
	}
	if s.Image == "" {
		out.Unnamed = out.Tags[:1:1]
	}
	if out.Inline != "" {
		out.Dockerfile = ""
	}
	for name, value := range b.Args {
		if value != nil {
			out.SetArg(name, *value)
		}
	}
	maps.Copy(out.Labels, b.Labels)
	out.Labels[labelProject], out.Labels[labelService], out.Labels[labelVersion] = t.project.Name, s.Name, version
	for name, value := range b.AdditionalContexts {
		if service, ok := strings.CutPrefix(value, types.ServicePrefix); ok {
			value = t.contextOf(s, service)
			out.After = append(out.After, service)
		}
		if out.Contexts == nil {
			out.Contexts = map[string]string{}
		}
		out.Contexts[name] = value
	}
	slices.Sort(out.After)
	out.After = slices.Compact(out.After)
	for _, secret := range b.Secrets {
		out.Secrets = append(out.Secrets, t.buildSecret(s, secret))
	}
	for _, key := range b.SSH {
		ssh := pod.BuildSSH{ID: key.ID}
		if key.Path != "" {
			ssh.Paths = strings.Split(key.Path, ",")
		}
		out.SSH = append(out.SSH, ssh)
	}
	// compose-go gives those of a mapping in no order.
	slices.SortFunc(out.SSH, func(a, b pod.BuildSSH) int { return strings.Compare(a.ID, b.ID) })
	switch {
	case out.Platform == "" && len(b.Platforms) == 1:
		out.Platform = b.Platforms[0]
	case out.Platform == "":
		out.Platforms = b.Platforms
	}
	return out
}

// contextOf is the image of a service as a context.
func (t construction) contextOf(s types.ServiceConfig, service string) string {
	other, ok := t.project.Model.AllServices()[service]
	if !ok {
		t.problem(s, "build.additional_contexts", "", "no service named %q", service)
	}
	return "docker-image://" + imageOf(t.translation, other)
}

// buildSecret is where a secret of a build comes from.
func (t construction) buildSecret(s types.ServiceConfig, ref types.ServiceSecretConfig) pod.BuildSecret {
	out := pod.BuildSecret{ID: ref.Target}
	if out.ID == "" {
		out.ID = ref.Source
	}
	config := t.project.Model.Secrets[ref.Source]
	switch {
	case config.File != "":
		out.File = config.File
	case config.Environment != "":
		out.Env = config.Environment
	case config.Content != "":
		out.Content = config.Content
	default:
		t.problem(s, "build.secrets", "name a file or a variable of the environment below secrets:",
			"secret %q is kept elsewhere, and a build cannot have it", ref.Source)
	}
	return out
}

// imageOf is the name of a service's image: without one of its own, the project's and its name.
func imageOf(t *translation, s types.ServiceConfig) string {
	if s.Image != "" {
		return s.Image
	}
	return t.project.Name + t.opts.separator() + s.Name
}
