package planner

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/pcompose/pcompose/pod"
)

// live are the fields of a container that change without a new container: the supervisor takes them over, or
// they only say something about order and names. A health check is not among them: its process is made with the
// container.
func live(field string) bool {
	switch field {
	case "Labels", "Ports", "After", "Restart", "Stop", "Pull", "PullAfter", "Listens", "PreStop", "Networks", "NetworkMode", "Sharing", "Update":
		return true
	}
	return false
}

// keep is the container there is, with what can change of it as wanted. What decides about its cell stays too.
func keep(want, have pod.Container) pod.Container {
	have.Labels, have.Ports, have.After, have.Restart = want.Labels, want.Ports, want.After, want.Restart
	have.PullAfter, have.Stop, have.Pull, have.PreStop = want.PullAfter, want.Stop, want.Pull, want.PreStop
	have.Update = want.Update
	return have
}

// words are the Compose names of fields that are called differently there.
func words(field string) string {
	switch field {
	case "Env":
		return "environment"
	case "Mounts":
		return "volumes"
	case "Pull", "PullAfter":
		return "pull_policy"
	case "VolumesFrom":
		return "volumes_from"
	case "Files":
		return "secrets or configs"
	case "Groups":
		return "group_add"
	case "WorkingDir":
		return "working_dir"
	case "Stdin":
		return "stdin_open"
	case "ReadOnly":
		return "read_only"
	case "ShmSize":
		return "shm_size"
	case "ExtraHosts":
		return "extra_hosts"
	case "NoHosts":
		return "x-podman.no_hosts"
	case "PreStart":
		return "pre_start"
	case "PostStart":
		return "post_start"
	case "PreStop":
		return "pre_stop"
	case "Aliases":
		return "links"
	case "Log":
		return "logging"
	case "Health":
		return "healthcheck"
	case "After":
		return "depends_on"
	case "Stop":
		return "stop_signal or stop_grace_period"
	case "Listens":
		return "expose"
	case "Cell":
		return "its network cell"
	case "NetworkMode":
		return "network_mode"
	case "Sharing":
		return "x-pcompose"
	case "Update":
		return "update_config"
	case "Storage":
		return "storage_opt"
	case endpointSysctls:
		return "sysctls of a network's interface"
	}
	if group, part, ok := strings.Cut(field, "."); ok {
		if word := partWords()[part]; word != "" {
			return word
		}
		return strings.ToLower(group + " " + part)
	}
	return strings.ToLower(field)
}

// partWords are the Compose names of the parts of Isolation and Resources.
func partWords() map[string]string {
	names := map[string]string{
		"Privileged": "privileged", "CapAdd": "cap_add", "CapDrop": "cap_drop", "PID": "pid", "IPC": "ipc", "UTS": "uts",
		"CgroupNS": "cgroup", "User": "userns_mode", "CgroupParent": "cgroup_parent", "Sysctls": "sysctls", "Ulimits": "ulimits", "Devices": "devices",
		"CDI": "devices or gpus", "DeviceRules": "device_cgroup_rules",
		"Memory": "mem_limit", "MemoryReservation": "mem_reservation", "MemorySwap": "memswap_limit",
		"MemorySwappiness": "mem_swappiness", "OOMKillDisable": "oom_kill_disable", "OOMScoreAdj": "oom_score_adj",
		"CPUs": "cpus", "CPUShares": "cpu_shares", "CPUQuota": "cpu_quota", "CPUPeriod": "cpu_period", "CPUSet": "cpuset",
		"CPURTPeriod": "cpu_rt_period", "CPURTRuntime": "cpu_rt_runtime", "Pids": "pids_limit", "BlockIO": "blkio_config",
	}
	for _, option := range []string{"NoNewPrivileges", "Seccomp", "AppArmor", "Label", "Unmask", "Mask", "ProcOptions", "WritableCgroups"} {
		names[option] = "security_opt"
	}
	return names
}

// whyReplace says why a container must be made anew, "" to keep it. Values are never named: they may be secret.
func whyReplace(want pod.Container, have pod.ContainerStatus, images map[string]pod.Image) string {
	if have.Run.State == pod.StatePartial {
		return "its creation was interrupted"
	}
	replaced, _ := differences(want, have.Container)
	if len(replaced) > 0 {
		return strings.Join(replaced, ", ") + " changed"
	}
	if image, ok := images[want.Image]; ok && image.ID != have.ImageID {
		return fmt.Sprintf("image %s is another one now", want.Image)
	}
	for _, m := range want.Mounts {
		if image, ok := images[m.Source]; m.Type == pod.MountImage && ok && image.ID != have.MountedImages[m.Target] {
			return fmt.Sprintf("image %s, which it mounts, is another one now", m.Source)
		}
	}
	return ""
}

// differences names what differs between two containers: what needs a new one, and what does not.
func differences(want, have pod.Container) (replaced, updated []string) {
	w, h := fields(want), fields(have)
	names := slices.Collect(keys(w, h))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if bytes.Equal(w[name], h[name]) {
			continue
		}
		word := words(name)
		if name == "Env" {
			word += " " + strings.Join(changedKeys(want.Env, have.Env), " ")
		}
		switch {
		case live(name):
			updated = append(updated, word)
		case !slices.Contains(replaced, word):
			replaced = append(replaced, word)
		}
	}
	return replaced, updated
}

// fields are a container's fields in their canonical form, so that nil and empty compare as they are stored; those of
// Isolation and Resources each by itself.
func fields(c pod.Container) map[string]json.RawMessage {
	var f map[string]json.RawMessage
	b, err := json.Marshal(c)
	if err == nil {
		err = json.Unmarshal(b, &f)
	}
	if err != nil {
		panic(fmt.Sprintf("a pod.Container does not marshal: %v", err)) // only plain fields: it always does
	}
	if places := placesWithSysctls(c); len(places) > 0 {
		if f[endpointSysctls], err = json.Marshal(places); err != nil {
			panic(fmt.Sprintf("a pod.Attachment does not marshal: %v", err))
		}
	}
	for _, group := range []string{"Isolation", "Resources"} {
		var parts map[string]json.RawMessage
		if f[group] == nil || json.Unmarshal(f[group], &parts) != nil {
			continue
		}
		delete(f, group)
		for name, part := range parts {
			f[group+"."+name] = part
		}
	}
	return f
}

// endpointSysctls is the field of what decides about sysctls of interfaces: they are set when a container is made.
const endpointSysctls = "endpoint.sysctls"

func placesWithSysctls(c pod.Container) []pod.Attachment {
	var all []pod.Attachment
	for _, a := range c.Networks {
		if len(a.Sysctls) > 0 {
			all = append(all, pod.Attachment{Network: a.Network, Interface: a.Interface, MAC: a.MAC, Sysctls: a.Sysctls})
		}
	}
	return all
}

func keys[V any](maps ...map[string]V) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for _, m := range maps {
			for k := range m {
				if !yield(k) {
					return
				}
			}
		}
	}
}

// changedKeys are the keys whose values differ, sorted.
func changedKeys(a, b map[string]string) []string {
	var changed []string
	for k := range keys(a, b) {
		va, ina := a[k]
		vb, inb := b[k]
		if va != vb || ina != inb {
			changed = append(changed, k)
		}
	}
	slices.Sort(changed)
	return slices.Compact(changed)
}
