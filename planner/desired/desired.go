// Package desired is a Compose project as the pod it should become.
//
// It is where compose-go's types end: nothing below it knows of YAML.
package desired

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/pcompose/pcompose/compose"
	"github.com/pcompose/pcompose/compose/graph"
	"github.com/pcompose/pcompose/compose/support"
	"github.com/pcompose/pcompose/pod"
)

// Options say which part of a project is wanted. The zero value is all of it.
type Options struct {
	// Services wanted; none means all that are enabled. What they wait for comes along.
	Services []string
	// WithoutDependencies leaves out what the Services wait for.
	WithoutDependencies bool
	// Scale has the number of replicas for some services, over what the file says.
	Scale map[string]int
	// AllResources brings the volumes along that no service uses.
	AllResources bool
	// Separator stands between the parts of a container's name; "" is "-", docker compose 1 had "_".
	Separator string
}

func (o Options) separator() string { return cmp.Or(o.Separator, "-") }

// Labels that docker compose puts on containers and volumes; tools find a project's parts by them.
const (
	labelProject     = pod.LabelProject
	labelService     = "com.docker.compose.service"
	labelNumber      = "com.docker.compose.container-number"
	labelOneOff      = "com.docker.compose.oneoff"
	labelHook        = "com.docker.compose.hook"
	labelWorkingDir  = "com.docker.compose.project.working_dir"
	labelConfigFiles = "com.docker.compose.project.config_files"
	labelVersion     = pod.LabelVersion
	labelDependsOn   = "com.docker.compose.depends_on"
	labelVolume      = pod.LabelVolume
)

// version stands where docker compose writes its own.
const version = "pcompose"

// translation is one project on its way to a pod.
type translation struct {
	project  *compose.Project
	opts     Options
	graph    *graph.Graph
	wanted   []string
	problems compose.Problems
	volumes  map[string]pod.Volume
}

// Pod is the pod that a project should become. The error is compose.Problems where the file promises what one pod cannot keep.
// It reads the project only, and gives the same pod for the same input.
func Pod(project *compose.Project, opts Options) (pod.Spec, error) {
	t := &translation{project: project, opts: opts, graph: graph.New(project.Model), volumes: map[string]pod.Volume{}}
	t.choose()
	t.models()
	spec := pod.Spec{Name: project.Name, Dir: project.Dir, Files: project.Files, Cells: []pod.Cell{{Name: pod.DefaultCell}}}
	spec.Disabled = slices.Sorted(maps.Keys(project.Model.DisabledServices))
	spec.Providers = providers(t)
	spec.Builds = construction{t}.builds()
	for _, name := range t.wanted {
		if spec.Provides(name) {
			continue
		}
		replicas := t.service(project.Model.Services[name])
		if len(replicas) == 0 {
			spec.Idle = append(spec.Idle, name)
		}
		spec.Containers = append(spec.Containers, replicas...)
	}
	if opts.AllResources {
		for _, key := range slices.Sorted(maps.Keys(project.Model.Volumes)) {
			t.volume(key)
		}
	}
	slices.Sort(spec.Idle)
	wires := wiring{t}
	spec.Networks = wires.networks(spec.Containers)
	slices.SortFunc(spec.Containers, func(a, b pod.Container) int { return cmp.Compare(a.Name, b.Name) })
	for _, key := range slices.Sorted(maps.Keys(t.volumes)) {
		spec.Volumes = append(spec.Volumes, t.volumes[key])
	}
	slices.SortFunc(spec.Volumes, func(a, b pod.Volume) int { return cmp.Compare(a.Name, b.Name) })
	return spec, t.problems.Sorted("").Err()
}

// choose fills wanted with the services of the pod.
func (t *translation) choose() {
	services := t.project.Model.Services
	for _, name := range slices.Concat(t.opts.Services, slices.Sorted(maps.Keys(t.opts.Scale))) {
		if _, ok := services[name]; !ok {
			t.problems = append(t.problems, compose.Problem{Message: fmt.Sprintf("no service named %q", name),
				Hint: compose.DidYouMean(name, slices.Collect(maps.Keys(services)))})
		}
	}
	switch {
	case len(t.opts.Services) == 0:
		t.wanted = t.graph.Services()
	case t.opts.WithoutDependencies:
		t.wanted = slices.Compact(slices.Sorted(slices.Values(t.opts.Services)))
	default:
		t.wanted = t.graph.Dependencies(t.opts.Services...)
	}
	t.wanted = slices.DeleteFunc(t.wanted, func(name string) bool { _, ok := services[name]; return !ok })
}

// models refuses models: they are served by a program of docker's, and a service that waits for one would never work.
func (t *translation) models() {
	const hint = "run the model as a service of its own, say with an image of ollama or llama.cpp"
	if len(t.project.Model.Models) == 0 {
		return
	}
	row, _ := support.New().Find("models")
	for _, name := range t.wanted {
		if s := t.project.Model.Services[name]; len(s.Models) > 0 {
			t.problem(s, "models", hint, "%s", row.Why)
		}
	}
	if len(t.problems) == 0 {
		p := t.project.Problem("models", "%s", row.Why)
		p.Hint = hint
		t.problems = append(t.problems, p)
	}
}

// problem is about what stands at path below a service.
func (t *translation) problem(s types.ServiceConfig, key, hint, format string, args ...any) {
	p := t.project.Problem("services."+s.Name+"."+key, format, args...)
	p.Hint = hint
	t.problems = append(t.problems, p)
}

// service is all replicas of a service.
func (t *translation) service(s types.ServiceConfig) []pod.Container {
	replicas := s.GetScale()
	if n, ok := t.opts.Scale[s.Name]; ok {
		replicas = n
	}
	if replicas > 1 && s.ContainerName != "" {
		t.problem(s, "container_name", "remove container_name, or scale to 1", "%d replicas cannot have one name", replicas)
	}
	listens := t.listens(s)
	var all []pod.Container
	for n := 1; n <= replicas; n++ {
		c := t.container(s)
		c.Name, c.Replica, c.Listens = containerName(t, s, n), n, slices.Clone(listens)
		c.PreStart = t.preStart(s, n)
		c.Labels = t.labels(s, n)
		c.Ports = t.ports(s, c.Name, n, replicas)
		all = append(all, c)
	}
	return all
}

// container is what all replicas of a service have in common.
func (t *translation) container(s types.ServiceConfig) pod.Container {
	c := pod.Container{
		Service: s.Name, Cell: pod.DefaultCell,
		Image: s.Image, Platform: s.Platform,
		Entrypoint: s.Entrypoint, Command: s.Command, Env: s.Environment.ToMapping(),
		User: s.User, Groups: s.GroupAdd, Umask: s.Umask, WorkingDir: s.WorkingDir, TTY: s.Tty, Stdin: s.StdinOpen, Init: s.Init != nil && *s.Init,
		Hostname: s.Hostname, Domainname: s.DomainName, ExtraHosts: hosts(s.ExtraHosts), Aliases: aliases(s),
		DNS:         pod.DNS{Servers: s.DNS, Search: s.DNSSearch, Options: s.DNSOpts},
		Annotations: s.Annotations,
		Mounts:      t.mounts(s), VolumesFrom: volumesFrom(t, s), Files: t.files(s), ReadOnly: s.ReadOnly, ShmSize: int64(s.ShmSize),
		Isolation: isolation(t, s), Resources: resources(t.project, s),
		PostStart: hooks(s.PostStart), PreStop: hooks(s.PreStop),
		Runtime: s.Runtime, Storage: s.StorageOpt,
		After: t.after(s), Health: health(s.HealthCheck), Restart: restart(s), Stop: stop(s), Log: logs(s.Logging),
		Update: update(s),
	}
	c.NetworkMode, c.Networks = wiring{t}.attached(s)
	c.Sharing = wiring{t}.sharing(s)
	wiring{t}.podman(s, &c)
	c.Pull, c.PullAfter = pull(s)
	c.Image = imageOf(t, s)
	return c
}

// pull is the policy and the age of refresh; daily and weekly are ages too. compose/load has refused what is none.
func pull(s types.ServiceConfig) (pod.PullPolicy, time.Duration) {
	policy, after, err := s.GetPullPolicy()
	if err != nil || policy == types.PullPolicyIfNotPresent {
		return pod.PullMissing, 0
	}
	return pod.PullPolicy(policy), after
}

// hosts are the lines of extra_hosts, sorted by name, each name's addresses in the order written.
func hosts(list types.HostsList) []pod.Host {
	var out []pod.Host
	for _, name := range slices.Sorted(maps.Keys(list)) {
		for _, ip := range list[name] {
			out = append(out, pod.Host{Name: name, IP: ip})
		}
	}
	return out
}

// aliases are the names that links give to services, and external_links to containers.
func aliases(s types.ServiceConfig) []pod.Alias {
	var out []pod.Alias
	for _, link := range s.Links {
		if service, name, ok := strings.Cut(link, ":"); ok && name != service {
			out = append(out, pod.Alias{Name: name, Service: service})
		}
	}
	for _, link := range s.ExternalLinks {
		if container, name, ok := strings.Cut(link, ":"); ok && name != container {
			out = append(out, pod.Alias{Name: name, Container: container})
		}
	}
	slices.SortFunc(out, func(a, b pod.Alias) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Service, b.Service), cmp.Compare(a.Container, b.Container))
	})
	return slices.Compact(out)
}

// labels are the service's own and docker compose's, which win.
func (t *translation) labels(s types.ServiceConfig, replica int) map[string]string {
	labels := map[string]string{}
	maps.Copy(labels, s.Labels)
	var waits []string
	for _, on := range slices.Sorted(maps.Keys(s.DependsOn)) {
		waits = append(waits, fmt.Sprintf("%s:%s:%t", on, s.DependsOn[on].Condition, s.DependsOn[on].Restart))
	}
	maps.Copy(labels, map[string]string{
		labelProject: t.project.Name, labelService: s.Name, labelNumber: fmt.Sprint(replica), labelOneOff: "False",
		labelWorkingDir: t.project.Dir, labelConfigFiles: strings.Join(t.project.Files, ","), labelVersion: version,
		labelDependsOn: strings.Join(waits, ","),
	})
	return labels
}

// after are the waits for services that are in the pod.
func (t *translation) after(s types.ServiceConfig) []pod.Dependency {
	var out []pod.Dependency
	for _, e := range t.graph.Waits(s.Name) {
		if slices.Contains(t.wanted, e.On) {
			out = append(out, pod.Dependency{On: e.On, Until: until(e.Until), Required: e.Required, Restart: e.Restart})
		}
	}
	return out
}

// until names a condition as the pod does; none written is started.
func until(condition string) pod.Until {
	switch condition {
	case types.ServiceConditionHealthy:
		return pod.UntilHealthy
	case types.ServiceConditionCompletedSuccessfully:
		return pod.UntilCompleted
	}
	return pod.UntilStarted
}
