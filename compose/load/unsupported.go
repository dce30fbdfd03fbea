package load

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/pcompose/pcompose/compose"
)

// supported are the keys that are carried out. It lists what is done rather than what is not, so that a key that the
// specification gains is warned of until it is. "*" is any key or item, a trailing "**" everything below.
func supported() map[string]bool {
	keys := map[string]bool{}
	add := func(prefix, list string) {
		for _, k := range strings.Fields(list) {
			keys[prefix+k] = true
		}
	}
	add("", "name version include.** services services.* networks networks.* networks.*.name networks.*.external.** volumes volumes.* secrets secrets.* configs configs.* models.**")
	add("networks.*.", "driver driver_opts.** internal attachable labels.** enable_ipv4 enable_ipv6 ipam ipam.driver ipam.options.** ipam.config ipam.config.* ipam.config.*.subnet ipam.config.*.ip_range ipam.config.*.gateway ipam.config.*.aux_addresses.**")
	add("volumes.*.", "name external.** labels.** driver driver_opts.**")
	add("secrets.*.", "name file environment labels.** external.**")
	add("configs.*.", "name file environment content labels.** external.**")
	const s = "services.*."
	add(s, `image command.** entrypoint.** environment.** env_file.** profiles.** extends.** ports ports.* expose.** volumes volumes.*
		depends_on.** healthcheck.** restart user group_add.** working_dir hostname domainname container_name labels.** label_file.**
		annotations.** stop_signal stop_grace_period tty stdin_open init read_only cap_add.** cap_drop.** privileged security_opt.**
		ulimits.** sysctls.** shm_size tmpfs.** devices.** mem_limit mem_reservation memswap_limit cpus cpu_shares cpu_quota cpu_period
		cpuset pids_limit oom_score_adj scale deploy secrets.** configs.** extra_hosts.** dns.** dns_search.** dns_opt.** logging
		logging.driver logging.options logging.options.* pull_policy platform build.** networks networks.* links.** models.** attach volumes_from.**
		post_start.** pre_stop.** pre_start pre_start.* provider.**`)
	add(s, `blkio_config.** cgroup cgroup_parent cpu_rt_period cpu_rt_runtime mem_swappiness oom_kill_disable device_cgroup_rules.**
		storage_opt.** pid ipc uts gpus.** runtime userns_mode isolation network_mode mac_address`)
	add(s+"networks.*.", "aliases.** ipv4_address ipv6_address link_local_ips.** mac_address interface_name priority gw_priority driver_opts.**")
	// models are refused by planner/desired.
	add(s+"ports.*.", "name mode host_ip target published protocol app_protocol")
	add(s+"volumes.*.", "type source target read_only consistency bind volume tmpfs image image.subpath")
	add(s+"volumes.*.bind.", "propagation create_host_path recursive selinux")
	add(s+"volumes.*.volume.", "nocopy subpath")
	add(s+"volumes.*.tmpfs.", "size mode")
	add(s+"deploy.", `mode replicas resources.reservations.devices.** restart_policy restart_policy.** resources resources.limits resources.limits.cpus
		resources.limits.memory resources.limits.pids resources.reservations resources.reservations.memory`)
	return keys
}

// Unsupported has one warning for each key, and place of it, that a project has and pcompose does not carry out yet, in the
// order of the files. Keys beginning with x- are the user's own. Services that are not enabled are left out.
func Unsupported(project *compose.Project) []compose.Problem {
	u := unsupported{project: project, table: supported(), elsewhere: elsewhere()}
	u.keys()
	for _, name := range slices.Sorted(maps.Keys(project.Model.Services)) {
		u.service(project.Model.Services[name])
		u.hooks(project.Model.Services[name])
	}
	u.networks()
	return u.found.Sorted("")
}

// unsupported collects the warnings of a project.
type unsupported struct {
	project *compose.Project
	table   map[string]bool
	// elsewhere has words for keys that the table lacks on purpose.
	elsewhere map[string]string
	found     compose.Problems
}

func (u *unsupported) add(path, message string) {
	at := u.project.At(path)
	for _, list := range []string{".volumes.", ".security_opt.", ".links.", ".tmpfs.", ".devices."} {
		path = strings.TrimSuffix(before(path, list), ".")
	}
	u.found = append(u.found, compose.Problem{At: at, Path: path, Message: message})
}

// before is s up to and with a key of a list, whose items are named by their text only to find their place.
func before(s, list string) string {
	if i := strings.Index(s, list); i >= 0 {
		return s[:i+len(list)]
	}
	return s
}

// keys warns of keys that the table lacks; what is below one is not mentioned again.
func (u *unsupported) keys() {
	last := "\x00"
	for _, place := range u.project.Places.All() {
		keys, path := place.Keys, compose.Path(place.Keys...)
		if strings.HasPrefix(path, last+".") || strings.HasPrefix(path, last+"[") || path == last {
			continue
		}
		if keys[0] == "services" && len(keys) > 1 {
			if _, enabled := u.project.Model.Services[keys[1]]; !enabled {
				continue
			}
		}
		if strings.HasPrefix(keys[len(keys)-1], "x-podman") { // podman-compose's: they were written to have an effect
			last = path
			u.found = append(u.found, compose.Problem{At: place.At, Path: path, Message: u.notYet(keys)})
			continue
		}
		if slices.ContainsFunc(keys, func(k string) bool { return strings.HasPrefix(k, "x-") }) || u.knows(keys) {
			continue
		}
		last = path
		u.found = append(u.found, compose.Problem{At: place.At, Path: path, Message: u.notYet(keys)})
	}
}

// notYet says what becomes of a key that the table lacks.
func (u *unsupported) notYet(keys []string) string {
	key := keys[len(keys)-1]
	if len(keys) >= 3 && keys[0] == "services" && keys[2] == "external_links" {
		return "external_links are ignored: a container of another project is in another pod; reach it by a port it publishes on the host"
	}
	if why := u.elsewhere[pattern(keys)]; why != "" {
		return fmt.Sprintf("%q is ignored: %s", key, why)
	}
	return fmt.Sprintf("%q is not supported yet and is ignored", key)
}

// pattern is a path with "*" for names that the user has chosen.
func pattern(keys []string) string {
	pattern := ""
	for i, k := range keys {
		if named(keys, i) {
			k = "*"
		}
		if i > 0 {
			pattern += "."
		}
		pattern += k
	}
	return pattern
}

// named says whether the user has chosen the i-th key.
func named(keys []string, i int) bool {
	return i == 1 || strings.HasPrefix(keys[i], "[") || i == 3 && keys[2] == "networks" || i == 4 && keys[2] == "logging"
}

// knows says whether the table has a path. User-chosen names stand as "*" in it.
func (u *unsupported) knows(keys []string) bool {
	if len(keys) > 4 && keys[0] == "services" && keys[2] == "pre_start" { // has the keys of a service
		return keys[4] == "per_replica" || u.knows(slices.Concat(keys[:2], keys[4:]))
	}
	pattern := ""
	for i, k := range keys {
		if named(keys, i) {
			k = "*"
		}
		if i > 0 {
			pattern += "."
		}
		pattern += k
		if u.table[pattern+".**"] {
			return true
		}
	}
	return u.table[pattern]
}

// service warns of values that are not carried out, of keys that otherwise are.
func (u *unsupported) service(s types.ServiceConfig) {
	base := "services." + s.Name + "."
	warn := func(key, format string, args ...any) {
		u.add(base+key, fmt.Sprintf(format, args...)+" is not supported yet and is ignored")
	}
	u.kernel(s, base)
	u.kinds(s, base)
	u.logging(s.Logging, base, warn)
	storage(s, warn)
	u.image(s, base)
	u.restarts(s, base)
	u.discarded(s)
}

// discarded warns of ports that nothing can be published of, as in docker.
func (u *unsupported) discarded(s types.ServiceConfig) {
	why := map[string]string{
		"host": "it listens on the host's own ports",
		"none": "it has no network",
	}[s.NetworkMode]
	for _, p := range s.Ports {
		if why != "" {
			u.found = append(u.found, compose.Problem{At: u.project.AtPort(s.Name, p), Path: "services." + s.Name + ".ports",
				Message: fmt.Sprintf("the published port is discarded: the service's network_mode is %s, so %s", s.NetworkMode, why)})
		}
	}
}

// ignored warns that the value of a service's key is not carried out.
type ignored func(key, format string, args ...any)

// kernel warns of sysctls and security options.
func (u *unsupported) kernel(s types.ServiceConfig, base string) {
	for _, o := range s.SecurityOpt {
		if name, _, _ := strings.Cut(strings.ReplaceAll(o, "=", ":"), ":"); name == "credentialspec" {
			u.add(base+"security_opt."+o, fmt.Sprintf("the security option %q is ignored: only containers of Windows have it", name))
		}
	}
}

func (u *unsupported) logging(l *types.LoggingConfig, base string, warn ignored) {
	if l == nil {
		return
	}
	if !slices.Contains([]string{"", "json-file", "k8s-file", "local", "none"}, l.Driver) {
		u.add(base+"logging.driver", fmt.Sprintf("the logging driver %q is not supported yet, output goes to rotated files", l.Driver))
	}
	for _, o := range slices.Sorted(maps.Keys(l.Options)) {
		if o != "max-size" && o != "max-file" {
			warn("logging.options."+o, "the logging option %q", o)
		}
	}
}

// image warns of where the image comes from.
func (u *unsupported) image(s types.ServiceConfig, base string) {
	if s.Build != nil {
		image := s.Image
		if image == "" {
			image = u.project.Name + "-" + s.Name
		}
		u.add(base+"build", fmt.Sprintf("images are not built yet; the image %q must exist", image))
	}
}

// restarts warns of a restart that has no effect, as in docker compose.
func (u *unsupported) restarts(s types.ServiceConfig, base string) {
	if s.Restart != "" && s.Deploy != nil && s.Deploy.RestartPolicy != nil {
		u.add(base+"restart", "restart is ignored, since deploy.restart_policy says it already")
	}
}

// storage warns of mounts.
func storage(s types.ServiceConfig, warn ignored) {
	for _, v := range s.Volumes {
		if !slices.Contains([]string{types.VolumeTypeBind, types.VolumeTypeVolume, types.VolumeTypeTmpfs, types.VolumeTypeImage}, v.Type) {
			warn("volumes."+v.Target, "a volume of type %q", v.Type)
		}
	}
}

// networks warns of what of a network a pod does not have.
func (u *unsupported) networks() {
	for _, key := range slices.Sorted(maps.Keys(u.project.Model.Networks)) {
		n, base := u.project.Model.Networks[key], "networks."+key+"."
		if bool(n.External) && u.project.Places.Has("networks."+key) {
			u.add(base+"external", "networks of several projects are not joined yet: only the services of this project are on it")
		}
		if !slices.Contains([]string{"", "bridge", "default"}, n.Driver) {
			u.add(base+"driver", fmt.Sprintf("the network driver %q is not supported, a bridge is used", n.Driver))
		}
		if !slices.Contains([]string{"", "default"}, n.Ipam.Driver) {
			u.add(base+"ipam.driver", fmt.Sprintf("the address driver %q is not supported, pcompose chooses addresses", n.Ipam.Driver))
		}
		u.options(base+"driver_opts.", n.DriverOpts, "mtu", "com.docker.network.driver.mtu")
		u.options(base+"ipam.options.", n.Ipam.Options)
	}
	for _, name := range slices.Sorted(maps.Keys(u.project.Model.Services)) {
		for _, key := range slices.Sorted(maps.Keys(u.project.Model.Services[name].Networks)) {
			if a := u.project.Model.Services[name].Networks[key]; a != nil {
				u.options("services."+name+".networks."+key+".driver_opts.", a.DriverOpts, "com.docker.network.endpoint.sysctls")
			}
		}
	}
}

// options warns of a driver's options, but those that are known.
func (u *unsupported) options(base string, options map[string]string, known ...string) {
	for _, name := range slices.Sorted(maps.Keys(options)) {
		if !slices.Contains(known, name) {
			u.add(base+name, fmt.Sprintf("the option %q is not supported yet and is ignored", name))
		}
	}
}
