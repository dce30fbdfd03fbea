package load

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/pcompose/pcompose/compose"
	"github.com/pcompose/pcompose/compose/graph"
	"github.com/pcompose/pcompose/pod"
)

// inspector checks a model, and takes the digests of the files it is of.
type inspector struct {
	*report
	*nodes
	places    *compose.Places
	documents map[string]*document
	env       map[string]string
	// services are those named by the caller.
	services []string
	// skip are the steps left out: what they would have brought cannot be checked.
	skip    Steps
	digests map[string]string
}

// inspect checks what a model says across services: that what is named exists, and nothing is promised twice.
// Only enabled services are checked, as in docker compose: a disabled one may lack what its profile would bring.
func (in *inspector) inspect(model *types.Project) {
	if len(model.Services)+len(model.DisabledServices) == 0 {
		if len(in.problems) == 0 {
			in.at("services", "no services are defined", `name at least one under "services:"`)
		}
		return
	}
	for _, name := range in.services {
		if _, ok := model.Services[name]; !ok {
			in.problem(compose.Position{}, "", fmt.Sprintf("no service named %q", name), compose.DidYouMean(name, slices.Collect(maps.Keys(model.AllServices()))))
		}
	}
	if in.skip.Consistency {
		return
	}
	names := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(model.Services)) {
		s := model.Services[name]
		in.service(s)
		in.conflicts(model, s)
		in.dependencies(model, s)
		in.references(model, s)
		if !in.skip.Paths && !in.skip.Environment {
			in.files(s)
		}
		inspectHooks(in, model, s)
		if other, taken := names[s.ContainerName]; taken && s.ContainerName != "" {
			path := "services." + name + ".container_name"
			in.at(path, fmt.Sprintf("%q is also the container of service %q at %s", s.ContainerName, other, in.where("services."+other+".container_name")), "")
		}
		names[s.ContainerName] = name
	}
	in.ports(model)
	networks{inspector: in, model: model}.check()
	if !in.skip.Paths {
		in.objects(model)
	}
	for _, cycle := range graph.New(model).Cycles() {
		path, at := in.dependency(model.Services[cycle[0]], cycle[1%len(cycle)])
		in.problem(at, path, "services wait for each other: "+cycle.String(), "")
	}
}

// at records a problem where path was written.
func (in *inspector) at(path, message, hint string) {
	in.problem(in.places.At(path), path, message, hint)
}

// where is the position of a path for use within a message.
func (in *inspector) where(path string) string {
	return in.places.At(path).Relative(in.cwd).String()
}

// service checks a service by itself: what no two of its keys can mean together.
func (in *inspector) service(s types.ServiceConfig) {
	path := "services." + s.Name
	if s.Image == "" && s.Build == nil && s.Provider == nil && !in.lost(path, "image", "build") {
		in.at(path, "the service has neither an image nor a build section", `add "image:" with the name of one`)
	}
	if s.NetworkMode != "" && in.places.Has(path+".networks") {
		in.at(path+".network_mode", "network_mode and networks exclude each other", "keep one of them")
	}
	if s.Deploy != nil && s.Scale != nil && s.Deploy.Replicas != nil && *s.Scale != *s.Deploy.Replicas {
		in.at(path+".scale", "scale and deploy.replicas say different numbers", "keep one of them")
	}
	if s.GetScale() > 1 && s.ContainerName != "" {
		in.at(path+".container_name", fmt.Sprintf("%d replicas cannot have one name", s.GetScale()), "remove container_name, or scale to 1")
	}
	if s.ContainerName != "" && !pod.ValidName(s.ContainerName) {
		in.at(path+".container_name", fmt.Sprintf("%q is no name of a container", s.ContainerName), "begin it with a letter or digit, and go on with those and _ . -")
	}
	in.limits(s, path)
	mountedTwice(in, s, path)
}

// mountedTwice finds what is mounted twice at one place of a container, or at none.
func mountedTwice(in *inspector, s types.ServiceConfig, path string) {
	targets := map[string]string{}
	mount := func(at, target string) {
		if other, taken := targets[target]; taken {
			in.problem(in.places.At(at), strings.TrimSuffix(at, "."+target), fmt.Sprintf("%q is mounted twice, first at %s", target, in.where(other)), "")
		}
		targets[target] = at
	}
	for _, v := range s.Volumes {
		if v.Target == "" {
			in.at(path+".volumes", "a volume has no target", `say where in the container it goes with "target:"`)
			continue
		}
		mount(path+".volumes."+v.Target, v.Target)
	}
	for _, t := range s.Tmpfs {
		target, _, _ := strings.Cut(t, ":")
		mount(path+".tmpfs."+target, target)
	}
}

// limits finds limits that the service itself and its deploy section set differently.
func (in *inspector) limits(s types.ServiceConfig, path string) {
	if s.Deploy == nil {
		return
	}
	differ := func(key, deploy string) {
		section, _, _ := strings.Cut(deploy, ".")
		message := fmt.Sprintf("%s and deploy.resources.%s say different amounts", key, deploy)
		if in.places.Has(path+".deploy.resources."+section) && !in.places.Has(path+".deploy.resources."+deploy) {
			// compose-go, and so docker compose, refuses it too: a section that is there says all.
			in.at(path+"."+key, fmt.Sprintf("%s is set, and deploy.resources.%s, which comes first, leaves it out", key, section),
				fmt.Sprintf("write it as deploy.resources.%s", deploy))
			return
		}
		in.at(path+"."+key, message, "keep one of them")
	}
	if r := s.Deploy.Resources.Limits; r != nil {
		if s.CPUS != 0 && r.NanoCPUs.Value() != s.CPUS {
			differ("cpus", "limits.cpus")
		}
		if s.MemLimit != 0 && r.MemoryBytes != s.MemLimit {
			differ("mem_limit", "limits.memory")
		}
		if s.PidsLimit != 0 && r.Pids != s.PidsLimit {
			differ("pids_limit", "limits.pids")
		}
	}
	if r := s.Deploy.Resources.Reservations; r != nil && s.MemReservation != 0 && r.MemoryBytes != s.MemReservation {
		differ("mem_reservation", "reservations.memory")
	}
}

// lost says whether a key below path was written, and only left out of the model for a problem of its own.
func (in *inspector) lost(path string, keys ...string) bool {
	for _, doc := range in.documents {
		if doc == nil {
			continue
		}
		for _, root := range doc.roots {
			for _, key := range keys {
				if n := child(root, append(strings.SplitN(path, ".", 2), key)...); n != nil && in.bad[n] {
					return true
				}
			}
		}
	}
	return false
}

// dependencies finds waits for services that do not exist, are not enabled, or can never get as far.
func (in *inspector) dependencies(model *types.Project, s types.ServiceConfig) {
	for _, on := range slices.Sorted(maps.Keys(s.DependsOn)) {
		d := s.DependsOn[on]
		path, at := in.dependency(s, on)
		if disabled, ok := model.DisabledServices[on]; ok {
			if d.Required {
				in.problem(at, path, fmt.Sprintf("the service %q is not enabled: it has %s", on, profileWords(disabled.Profiles)),
					fmt.Sprintf("enable it with --profile %s, or write required: false", first(disabled.Profiles)))
			}
			continue
		}
		if _, ok := model.Services[on]; !ok {
			in.problem(at, path, fmt.Sprintf("no service named %q", on), compose.DidYouMean(on, slices.Collect(maps.Keys(model.AllServices()))))
			continue
		}
		if d.Condition == types.ServiceConditionHealthy && on != s.Name {
			if h := model.Services[on].HealthCheck; h != nil && (h.Disable || len(h.Test) > 0 && h.Test[0] == "NONE") {
				in.problem(at, path, fmt.Sprintf("waits for %q to be healthy, whose health check is switched off", on), "use service_started")
			}
		}
	}
}

// dependency is the path and place of what made a service wait for another: depends_on, or a key that implies it.
func (in *inspector) dependency(s types.ServiceConfig, on string) (string, compose.Position) {
	base := "services." + s.Name + "."
	for _, key := range []string{"depends_on", "links", "volumes_from"} {
		if in.places.Has(base + key + "." + on) {
			return base + key, in.places.At(base + key + "." + on)
		}
	}
	for _, key := range []string{"network_mode", "ipc", "pid", "uts", "cgroup"} {
		value := map[string]string{"network_mode": s.NetworkMode, "ipc": s.Ipc, "pid": s.Pid, "uts": s.Uts, "cgroup": s.Cgroup}[key]
		if value == types.ServicePrefix+on {
			return base + key, in.places.At(base + key)
		}
	}
	return base + "depends_on", in.places.At(base + "depends_on")
}

func profileWords(profiles []string) string {
	if len(profiles) == 1 {
		return fmt.Sprintf("the profile %q", profiles[0])
	}
	return "the profiles " + strings.Join(profiles, ", ")
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

// references finds names of volumes, networks, secrets and configs that the file does not define.
func (in *inspector) references(model *types.Project, s types.ServiceConfig) {
	base := "services." + s.Name + "."
	missing := func(key, kind, name string, defined []string, toplevel string) {
		if slices.Contains(defined, name) || in.lost(toplevel, name) {
			return
		}
		hint := compose.DidYouMean(name, defined)
		if hint == "" {
			hint = fmt.Sprintf("define it at the top level: %s: {%s: ...}", toplevel, name)
		}
		in.problem(in.places.At(base+key+"."+name), base+key, fmt.Sprintf("no %s named %q", kind, name), hint)
	}
	for _, v := range s.Volumes {
		if v.Type == types.VolumeTypeVolume && v.Source != "" {
			missing("volumes", "volume", v.Source, model.VolumeNames(), "volumes")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Networks)) {
		if name != "default" {
			missing("networks", "network", name, model.NetworkNames(), "networks")
		}
	}
	for _, r := range s.Secrets {
		missing("secrets", "secret", r.Source, model.SecretNames(), "secrets")
	}
	for _, r := range s.Configs {
		missing("configs", "config", r.Source, model.ConfigNames(), "configs")
	}
}
