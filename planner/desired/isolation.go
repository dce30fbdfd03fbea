package desired

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/pcompose/pcompose/pod"
)

// isolation is what a service may do beyond the defaults, and what it may not.
func isolation(t *translation, s types.ServiceConfig) pod.Isolation {
	i := pod.Isolation{Privileged: s.Privileged, CapAdd: s.CapAdd, CapDrop: s.CapDrop}
	secure(t.project.Dir, &i, s.SecurityOpt)
	for name, value := range s.Sysctls {
		if i.Sysctls == nil {
			i.Sysctls = map[string]string{}
		}
		i.Sysctls[name] = value
	}
	i.Ulimits = ulimits(s.Ulimits)
	for _, d := range s.Devices {
		if !path.IsAbs(d.Source) {
			i.CDI = append(i.CDI, d.Source)
			continue
		}
		i.Devices = append(i.Devices, pod.Device{Source: d.Source, Target: cmp.Or(d.Target, d.Source), Permissions: d.Permissions})
	}
	i.CDI = append(i.CDI, requested(s.Gpus)...)
	if s.Deploy != nil && s.Deploy.Resources.Reservations != nil {
		i.CDI = append(i.CDI, requested(s.Deploy.Resources.Reservations.Devices)...)
	}
	for _, text := range s.DeviceCgroupRules {
		if rule, err := pod.ParseDeviceRule(text); err == nil { // checked when the file was loaded
			i.DeviceRules = append(i.DeviceRules, rule)
		}
	}
	i.User = userNamespace(t, s)
	i.PID, i.IPC, i.UTS = namespace(t, s.Pid), namespace(t, s.Ipc), namespace(t, s.Uts)
	i.CgroupNS, i.CgroupParent = pod.Namespace(s.Cgroup), cgroupParent(s.CgroupParent)
	return i
}

// userNamespace is userns_mode, or the mappings of podman-compose's extension. One list of the two is both, as podman has it.
func userNamespace(t *translation, s types.ServiceConfig) pod.UserNS {
	ns, err := pod.ParseUserNS(s.UserNSMode)
	if err != nil { // checked when the file was loaded
		return pod.UserNS{}
	}
	read := func(key string) (maps []pod.IDMap) {
		for _, text := range listOrOne(s.Extensions[key]) {
			m, err := pod.ParseIDMap(text)
			if err != nil {
				t.extension("services."+s.Name+"."+key, err.Error(), "")
				continue
			}
			maps = append(maps, m)
		}
		return maps
	}
	uids, gids := read("x-podman.uidmaps"), read("x-podman.gidmaps")
	if len(uids)+len(gids) == 0 {
		return ns
	}
	if ns.Mode != pod.UserNSPod {
		t.extension("services."+s.Name+".x-podman.uidmaps", fmt.Sprintf("the IDs are mapped by userns_mode %q already", s.UserNSMode), "leave one of the two out")
	}
	if len(uids) == 0 {
		uids = gids
	}
	if len(gids) == 0 {
		gids = uids
	}
	return pod.UserNS{Mode: pod.UserNSMapped, UIDs: uids, GIDs: gids}
}

// secure reads security_opt; dir is what paths of profiles are relative to.
func secure(dir string, i *pod.Isolation, options []string) {
	for _, o := range options {
		name, value, valued := strings.Cut(o, "=")
		if n, v, ok := strings.Cut(o, ":"); ok && !valued {
			name, value = n, v
		}
		switch name {
		case "no-new-privileges":
			i.NoNewPrivileges = value != "false"
		case "seccomp":
			switch i.Seccomp = value; {
			case value == "builtin":
				i.Seccomp = ""
			case value != "unconfined" && !path.IsAbs(value):
				i.Seccomp = path.Join(dir, value)
			}
		case "apparmor":
			i.AppArmor = value
		case "label":
			i.Label = append(i.Label, value)
		case "unmask":
			i.Unmask = append(i.Unmask, strings.Split(value, ":")...)
		case "mask":
			i.Mask = append(i.Mask, strings.Split(value, ":")...)
		case "writable-cgroups":
			i.WritableCgroups = value == "" || value == "true"
		case "proc-opts":
			i.ProcOptions = append(i.ProcOptions, strings.Split(value, ",")...)
		case "systempaths":
			if value == "unconfined" {
				i.Unmask = append(i.Unmask, "ALL")
			}
		}
	}
}

// containerName is what a replica of a service is called.
func containerName(t *translation, s types.ServiceConfig, replica int) string {
	return cmp.Or(s.ContainerName, strings.Join([]string{t.project.Name, s.Name, strconv.Itoa(replica)}, t.opts.separator()))
}

// namespace is what pid, ipc and uts say; a service's is that of its first container.
func namespace(t *translation, text string) pod.Namespace {
	if on, ok := strings.CutPrefix(text, types.ServicePrefix); ok {
		return pod.InContainer(containerName(t, t.project.Model.Services[on], 1))
	}
	if pod.Namespace(text) == pod.NamespacePrivate {
		return "" // it is so anyway
	}
	return pod.Namespace(text)
}

// cgroupParent is an absolute path. A slice's name spells its parents: a-b.slice is in a.slice (systemd.slice(5)).
func cgroupParent(text string) string {
	name, isSlice := strings.CutSuffix(text, ".slice")
	if !isSlice || strings.Contains(name, "/") || name == "-" {
		if text == "" || name == "-" {
			return ""
		}
		return path.Join("/", text)
	}
	at, parts := "/", strings.Split(name, "-")
	for n := range parts {
		at = path.Join(at, strings.Join(parts[:n+1], "-")+".slice")
	}
	return at
}

// requested are device requests as names of the Container Device Interface. A driver is a vendor, whose devices of the
// kind gpu are meant, or a whole kind: vendor.com/class. Which requests can be named was checked when the file was loaded.
func requested(requests []types.DeviceRequest) []string {
	var names []string
	for _, r := range requests {
		kind := ""
		switch r.Driver {
		case "cdi":
			names = append(names, r.IDs...)
			continue
		case "", "nvidia":
			kind = "nvidia.com/gpu"
		default:
			if kind = r.Driver; !strings.Contains(kind, "/") {
				kind += ".com/gpu"
			}
		}
		ids := r.IDs
		for n := int64(0); len(r.IDs) == 0 && n < int64(r.Count); n++ {
			ids = append(ids, strconv.FormatInt(n, 10))
		}
		if len(ids) == 0 {
			ids = []string{"all"}
		}
		for _, id := range ids {
			names = append(names, kind+"="+id)
		}
	}
	return names
}

// ulimits are limits, sorted by name.
func ulimits(limits map[string]*types.UlimitsConfig) []pod.Ulimit {
	var list []pod.Ulimit
	for _, name := range slices.Sorted(maps.Keys(limits)) {
		u := pod.Ulimit{Name: name, Soft: int64(limits[name].Soft), Hard: int64(limits[name].Hard)}
		if single := int64(limits[name].Single); single != 0 {
			u.Soft, u.Hard = single, single
		}
		list = append(list, u)
	}
	return list
}
