package load

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v4"

	"github.com/pcompose/pcompose/compose"
	"github.com/pcompose/pcompose/compose/graph"
	"github.com/pcompose/pcompose/compose/support"
	"github.com/pcompose/pcompose/pod"
)

// specRules are texts of attributes that end in the runtime specification.
func specRules() []formatRule {
	return []formatRule{
		{[]string{"pid"}, func(s string) string { return badNamespace(s, "host", "private") }},
		{[]string{"ipc"}, func(s string) string { return badNamespace(s, "host", "private", "shareable", "none") }},
		{[]string{"uts"}, func(s string) string { return badNamespace(s, "host", "private") }},
		{[]string{"mem_swappiness"}, badSwappiness},
		{[]string{"blkio_config", "weight"}, badWeight},
		{[]string{"storage_opt", "size"}, badBytes},
		{[]string{"storage_opt", "inodes"}, badCount},
		{[]string{"deploy", "mode"}, func(s string) string {
			return notOneOf(s, "replicated", "global", "replicated-job", "global-job")
		}},
		{[]string{"deploy", "update_config", "order"}, func(s string) string { return notOneOf(s, "start-first", "stop-first") }},
		{[]string{"deploy", "update_config", "failure_action"}, func(s string) string { return notOneOf(s, "pause", "continue", "rollback") }},
		{[]string{"deploy", "update_config", "parallelism"}, badCount},
	}
}

// spec checks the lists of those attributes.
func (c checker) spec(service *yaml.Node, keys []string) {
	c.items(service, step(keys, "device_cgroup_rules"), func(s string) string {
		if _, err := pod.ParseDeviceRule(s); err != nil {
			return err.Error()
		}
		return ""
	})
	c.items(service, step(keys, "security_opt"), badSecurityOpt)
	for _, list := range []string{"weight_device", "device_read_bps", "device_read_iops", "device_write_bps", "device_write_iops"} {
		for i, n := range listOf(child(service, "blkio_config", list)) {
			at := append(step(keys, "blkio_config"), list, item(i))
			if p := child(n, "path"); p != nil {
				c.format(p, append(at, "path"), badNode)
			}
			if w := child(n, "weight"); w != nil {
				c.format(w, append(at, "weight"), badWeight)
			}
			if r := child(n, "rate"); r != nil {
				c.format(r, append(at, "rate"), badBytes)
			}
		}
	}
	if n := child(service, "storage_opt"); n != nil && n.Kind == yaml.MappingNode {
		for _, e := range entries(n) {
			if e.key.Value != "size" && e.key.Value != "inodes" {
				c.bad[e.value] = true
				c.wrong(e.key, step(keys, "storage_opt"), fmt.Sprintf("unknown storage option %q", e.key.Value), "known are size, inodes")
			}
		}
	}
	c.volumeOptions(service, keys)
}

// listOf are the items of a sequence, none of anything else.
func listOf(n *yaml.Node) []*yaml.Node {
	if n = deref(n); n == nil || n.Kind != yaml.SequenceNode {
		return nil
	}
	return n.Content
}

// volumeOptions notes options of the short form that compose-go, and so docker compose, drops without a word.
func (c checker) volumeOptions(service *yaml.Node, keys []string) {
	for i, n := range listOf(child(service, "volumes")) {
		if n = deref(n); n.Kind != yaml.ScalarNode {
			continue
		}
		parts := strings.Split(c.value(n), ":")
		if len(parts) < 3 {
			continue
		}
		for _, option := range strings.Split(parts[2], ",") {
			if slices.Contains([]string{"ro", "rw", "nocopy", "z", "Z", "private", "rprivate", "shared", "rshared", "slave", "rslave", "cached", "delegated", "consistent", ""}, option) {
				continue
			}
			limit, table := "option", support.New()
			if option == "U" || option == "O" { // podman's
				limit = option
			}
			c.ignored = append(c.ignored, compose.Problem{At: position(c.doc, n), Path: compose.Path(step(step(keys, "volumes"), item(i))...),
				Message: table.Limit("services.*.volumes", limit).Say(option)})
		}
	}
}

// badNamespace knows the words, and the namespaces of a service or a container.
func badNamespace(s string, words ...string) string {
	for _, prefix := range []string{types.ServicePrefix, types.ContainerPrefix} {
		if name, ok := strings.CutPrefix(s, prefix); ok && name != "" {
			return ""
		}
	}
	if s == "" || slices.Contains(words, s) {
		return ""
	}
	return enumMessage(s, append(words, types.ServicePrefix+"NAME", types.ContainerPrefix+"NAME"))
}

func badSwappiness(s string) string {
	if n, err := strconv.Atoi(s); err != nil || n < -1 || n > 100 {
		return fmt.Sprintf("must be 0 to 100, or -1 for the host's, not %q", s)
	}
	return ""
}

func badWeight(s string) string {
	if n, err := strconv.Atoi(s); err != nil || n != 0 && (n < 10 || n > 1000) {
		return fmt.Sprintf("must be a weight of 10 to 1000, or 0 for none, not %q", s)
	}
	return ""
}

func badNode(s string) string {
	if !strings.HasPrefix(s, "/") {
		return fmt.Sprintf("%q must be the absolute path of a block device on the host", s)
	}
	return ""
}

// badSecurityOpt reads an item of security_opt: what docker takes, and what podman takes.
func badSecurityOpt(s string) string {
	name, value, valued := strings.Cut(s, "=")
	if n, v, ok := strings.Cut(s, ":"); ok && !valued {
		name, value, valued = n, v, true
	}
	switch name {
	case "no-new-privileges", "writable-cgroups":
		if valued && value != "true" && value != "false" {
			return fmt.Sprintf("%s is true or false, not %q", name, value)
		}
	case "systempaths":
		if value != "unconfined" {
			return fmt.Sprintf("systempaths is unconfined, not %q", value)
		}
	case "seccomp", "apparmor", "label", "unmask", "mask", "proc-opts", "credentialspec":
		if value == "" {
			return fmt.Sprintf("the security option %q needs a value, as in %s=...", s, name)
		}
		for _, p := range strings.Split(value, ":") {
			if (name == "mask" || name == "unmask" && p != "ALL") && !strings.HasPrefix(p, "/") {
				return fmt.Sprintf("the path %q to %s is not absolute", p, name)
			}
		}
	default:
		return enumMessage(name, []string{"no-new-privileges", "seccomp", "apparmor", "label", "systempaths", "writable-cgroups", "mask", "unmask", "proc-opts"})
	}
	return ""
}

// tmpfsOption says whether tmpfs(5) or mount(8) knows an option, and docker or podman takes it.
func tmpfsOption(option string) bool {
	name, _, valued := strings.Cut(option, "=")
	if valued {
		return slices.Contains([]string{"size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol"}, name)
	}
	return slices.Contains([]string{"ro", "rw", "defaults", "exec", "noexec", "suid", "nosuid", "dev", "nodev", "sync", "async", "dirsync",
		"atime", "noatime", "diratime", "nodiratime", "relatime", "norelatime", "strictatime", "nostrictatime", "tmpcopyup", "notmpcopyup"}, name)
}

// conflicts finds what no two keys of a service can mean together, and creating the container would stop at.
func (in *inspector) conflicts(model *types.Project, s types.ServiceConfig) {
	base := "services." + s.Name + "."
	in.memory(s, base)
	in.processors(s, base)
	if s.Umask != nil && *s.Umask > 0o777 {
		in.at(base+"umask", fmt.Sprintf("%#o masks more than permissions", *s.Umask), `write it in octal, as in "0027"`)
	}
	all := func(list []string) bool {
		return slices.ContainsFunc(list, func(name string) bool { full, _ := pod.Capability(name); return full == pod.AllCapabilities })
	}
	if all(s.CapAdd) && all(s.CapDrop) {
		in.at(base+"cap_drop", "cap_add and cap_drop both say ALL", "keep one of them")
	}
	for _, name := range slices.Sorted(maps.Keys(s.Ulimits)) {
		if u := s.Ulimits[name]; u.Single == 0 && u.Hard > 0 && (u.Soft > u.Hard || u.Soft < 0) {
			in.at(base+"ulimits."+name, fmt.Sprintf("the soft limit %d is more than the hard limit %d", u.Soft, u.Hard), "raise the hard one")
		}
	}
	if s.Uts != "" && pod.Namespace(s.Uts) != pod.NamespacePrivate {
		for key, value := range map[string]string{"hostname": s.Hostname, "domainname": s.DomainName} {
			if value != "" {
				in.at(base+key, fmt.Sprintf("%s and uts: %s exclude each other: the name is that of the namespace shared", key, s.Uts), "keep one of them")
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Sysctls)) {
		if pod.Namespace(s.Ipc) == pod.NamespaceHost && !strings.HasPrefix(name, "net.") && name != "kernel.domainname" {
			in.at(base+"sysctls."+name, fmt.Sprintf("the sysctl %q would change the host, whose IPC namespace ipc: host shares", name), "remove one of them")
		}
	}
	if on := graph.Joined(model, s.Ipc); on != "" && on != s.Name && pod.Namespace(model.Services[on].Ipc) != pod.NamespaceShareable {
		in.at(base+"ipc", fmt.Sprintf("the IPC namespace of service %q cannot be joined: it is its own", on), fmt.Sprintf("give %q ipc: shareable", on))
	}
	in.devices(s, base)
}

// memory compares memory limits, as they are after deploy has had its say.
func (in *inspector) memory(s types.ServiceConfig, base string) {
	limit, reserved := s.MemLimit, s.MemReservation
	if s.Deploy != nil && s.Deploy.Resources.Limits != nil && s.Deploy.Resources.Limits.MemoryBytes != 0 {
		limit = s.Deploy.Resources.Limits.MemoryBytes
	}
	key := "mem_reservation"
	if s.Deploy != nil && s.Deploy.Resources.Reservations != nil && s.Deploy.Resources.Reservations.MemoryBytes != 0 {
		key, reserved = "deploy.resources.reservations.memory", s.Deploy.Resources.Reservations.MemoryBytes
	}
	switch {
	case s.MemSwapLimit > 0 && limit == 0:
		in.at(base+"memswap_limit", "memswap_limit needs mem_limit: it counts memory and swap together", `add "mem_limit:"`)
	case s.MemSwapLimit > 0 && s.MemSwapLimit < limit:
		in.at(base+"memswap_limit", "memswap_limit, which counts memory and swap together, is less than mem_limit", "make it mem_limit or more")
	}
	if limit > 0 && reserved > limit {
		in.at(base+key, "more memory is reserved than the limit allows", "reserve less")
	}
}

// processors compares shares of CPU time; the kernel takes no quota below a millisecond.
func (in *inspector) processors(s types.ServiceConfig, base string) {
	cpus, key := float64(s.CPUS), "cpus"
	if s.Deploy != nil && s.Deploy.Resources.Limits != nil && s.Deploy.Resources.Limits.NanoCPUs != 0 {
		cpus, key = float64(s.Deploy.Resources.Limits.NanoCPUs), "deploy.resources.limits.cpus"
	}
	const leastQuota, leastPeriod, mostPeriod = 1000, 1000, 1_000_000
	period := s.CPUPeriod
	if period == 0 {
		period = 100_000
	}
	if s.CPUPeriod != 0 && (s.CPUPeriod < leastPeriod || s.CPUPeriod > mostPeriod) {
		in.at(base+"cpu_period", fmt.Sprintf("must be %d to %d microseconds, not %d", leastPeriod, mostPeriod, s.CPUPeriod), "")
		return
	}
	switch {
	case cpus > 0 && s.CPUQuota > 0:
		in.at(base+"cpu_quota", key+" and cpu_quota both say how much CPU there is", "keep one of them")
	case s.CPUQuota > 0 && s.CPUQuota < leastQuota:
		in.at(base+"cpu_quota", fmt.Sprintf("must be at least %d microseconds, not %d", leastQuota, s.CPUQuota), "")
	case cpus > 0 && math.Round(cpus*float64(period)) < leastQuota:
		in.at(base+key, fmt.Sprintf("must be at least %v of a CPU: the kernel takes no less", float64(leastQuota)/float64(period)), "")
	}
	if s.CPURTPeriod > 0 && s.CPURTRuntime > s.CPURTPeriod {
		in.at(base+"cpu_rt_runtime", "cpu_rt_runtime is more than cpu_rt_period", "make it less")
	}
}

// devices finds devices that no name of the Container Device Interface can be made of.
func (in *inspector) devices(s types.ServiceConfig, base string) {
	for _, d := range s.Devices {
		if !strings.HasPrefix(d.Source, "/") && !isCDI(d.Source) {
			in.at(base+"devices."+d.Source, fmt.Sprintf("%q is no device: neither an absolute path nor a CDI name", d.Source), "a CDI name is vendor.com/class=device")
		}
	}
	check := func(key string, requests []types.DeviceRequest) {
		for _, r := range requests {
			gpu := len(r.Capabilities) == 0 || slices.Contains(r.Capabilities, "gpu")
			switch {
			case r.Count != 0 && len(r.IDs) > 0:
				in.at(base+key, "count and device_ids exclude each other", "keep one of them")
			case r.Driver == "cdi" && (len(r.IDs) == 0 || !slices.ContainsFunc(r.IDs, isCDI)):
				in.at(base+key, "the driver cdi needs device_ids", "name devices as in device_ids: [vendor.com/class=device]")
			case !gpu && !strings.Contains(r.Driver, "/") && r.Driver != "cdi":
				in.at(base+key, fmt.Sprintf("no device is known for the capabilities %s", strings.Join(r.Capabilities, ", ")),
					"name it with driver: vendor.com/class, or driver: cdi and device_ids")
			}
		}
	}
	check("gpus", s.Gpus)
	if s.Deploy != nil && s.Deploy.Resources.Reservations != nil {
		check("deploy.resources.reservations.devices", s.Deploy.Resources.Reservations.Devices)
	}
}

// isCDI says whether a name has the form of the Container Device Interface: vendor.com/class=device.
func isCDI(name string) bool {
	kind, device, ok := strings.Cut(name, "=")
	vendor, class, slash := strings.Cut(kind, "/")
	return ok && slash && vendor != "" && class != "" && device != ""
}
