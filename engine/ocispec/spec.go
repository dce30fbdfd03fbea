package ocispec

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/pcompose/pcompose/pod"
)

// Spec is the runtime specification of a container. Warnings name what was asked for and is not applied on this host,
// one sentence each. The result shares no memory with the input.
func Spec(in Input) (*specs.Spec, []string, error) {
	b := &builder{in: &in, c: &in.Container}
	b.spec = &specs.Spec{
		Version:  version,
		Root:     &specs.Root{Path: in.Rootfs, Readonly: b.c.ReadOnly},
		Hostname: hostname(b.c),
		// Of the file alone: annotations steer runtimes (CVE-2026-94603).
		Annotations: b.c.Annotations,
		Linux: &specs.Linux{
			CgroupsPath: in.CgroupPath,
			Namespaces:  namespaces(b.in),
			MountLabel:  in.Labels.Mount,
			Resources:   &specs.LinuxResources{},
			UIDMappings: slices.Clone(in.UIDs),
			GIDMappings: slices.Clone(in.GIDs),
		},
	}
	if b.c.Isolation.UTS == pod.NamespaceHost || joined(b.c.Isolation.UTS) {
		b.spec.Hostname = "" // the name is the namespace's
	}
	// Order matters: seccomp asks for the capabilities of the process.
	for _, step := range []func() error{b.process, b.mounts, b.paths, b.devices, b.resources, b.sysctls, b.seccomp, b.labels} {
		if err := step(); err != nil {
			return nil, nil, fmt.Errorf("cannot make spec of container %q: %w", b.c.Name, err)
		}
	}
	return b.spec, b.warnings, nil
}

func (b *builder) warn(format string, args ...any) {
	b.warnings = append(b.warnings, fmt.Sprintf(format, args...))
}

// hostname defaults to the container's name, cut to what sethostname(2) takes in one DNS label.
func hostname(c *pod.Container) string {
	name := c.Hostname
	if name == "" {
		name = c.Name
	}
	return name[:min(len(name), 63)]
}

// apart says whether the container has a user namespace of its own.
func (in *Input) apart() bool { return len(in.UIDs) > 0 }

// confined says whether nobody in the container has the host's privileges: what takes them is not asked of the runtime.
func (in *Input) confined() bool { return in.Host.Rootless || in.apart() }

// joined says whether a namespace is that of another container.
func joined(n pod.Namespace) bool {
	_, ok := n.Container()
	return ok
}

// namespaces are the container's own unless the file says otherwise. With cgroup v1 the cgroup namespace is the host's,
// as podman has it: tools in images find their limits by the path in /proc/self/cgroup. That of another container has
// its name, container:NAME, for a path: where it is, is known when the container starts, and no runtime takes it for one.
func namespaces(in *Input) []specs.LinuxNamespace {
	iso := in.Container.Isolation
	var list []specs.LinuxNamespace
	for _, n := range []struct {
		kind specs.LinuxNamespaceType
		in   pod.Namespace
	}{{specs.PIDNamespace, iso.PID}, {specs.MountNamespace, ""}, {specs.IPCNamespace, iso.IPC}, {specs.UTSNamespace, iso.UTS}} {
		switch {
		case n.in == pod.NamespaceHost:
		case joined(n.in):
			list = append(list, specs.LinuxNamespace{Type: n.kind, Path: string(n.in)})
		default:
			list = append(list, specs.LinuxNamespace{Type: n.kind})
		}
	}
	if in.apart() {
		list = append(list, specs.LinuxNamespace{Type: specs.UserNamespace})
	}
	if !in.HostNetwork {
		list = append(list, specs.LinuxNamespace{Type: specs.NetworkNamespace, Path: in.NetNS})
	}
	if in.Host.CgroupV2 && iso.CgroupNS != pod.NamespaceHost || iso.CgroupNS == pod.NamespacePrivate {
		list = append(list, specs.LinuxNamespace{Type: specs.CgroupNamespace})
	}
	return list
}

// maskedPaths hide what tells about the host or lets it be changed: docker's list and podman's joined.
func maskedPaths() []string {
	return []string{
		"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
		"/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats",
		"/sys/devices/virtual/powercap", "/sys/firmware", "/sys/fs/selinux",
	}
}

func readonlyPaths() []string {
	return []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
}

func (b *builder) paths() error {
	iso := b.c.Isolation
	if !iso.Privileged {
		b.spec.Linux.MaskedPaths = unmask(append(maskedPaths(), b.in.Host.MaskedPaths...), iso.Unmask)
		b.spec.Linux.ReadonlyPaths = unmask(readonlyPaths(), iso.Unmask)
	}
	for _, p := range append(append([]string(nil), iso.Mask...), iso.Unmask...) {
		if !path.IsAbs(p) && p != "ALL" {
			return fmt.Errorf("path %q to mask or unmask is not absolute", p)
		}
	}
	b.spec.Linux.MaskedPaths = append(b.spec.Linux.MaskedPaths, iso.Mask...)
	return nil
}

// unmask takes away the paths that match one of the patterns of path.Match, as podman reads them.
func unmask(paths, patterns []string) []string {
	var kept []string
next:
	for _, p := range paths {
		for _, pattern := range patterns {
			if ok, _ := path.Match(path.Clean(pattern), p); ok || pattern == "ALL" {
				continue next
			}
		}
		kept = append(kept, p)
	}
	return kept
}

// devices makes the nodes and the cgroup's allow list. The runtime adds /dev/null and its like to both.
func (b *builder) devices() error {
	rules := []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}}
	if b.c.Isolation.Privileged {
		rules[0].Allow = true
	}
	for _, r := range b.c.Isolation.DeviceRules {
		rule := specs.LinuxDeviceCgroup{Allow: true, Type: r.Type, Access: r.Permissions}
		if r.Major >= 0 {
			rule.Major = ptr(r.Major)
		}
		if r.Minor >= 0 {
			rule.Minor = ptr(r.Minor)
		}
		rules = append(rules, rule)
	}
	for _, d := range b.in.Devices {
		access := d.Permissions
		if access == "" {
			access = "rwm"
		}
		if strings.Trim(access, "rwm") != "" {
			return fmt.Errorf("permissions %q of device %q are not of r, w, m", access, d.Path)
		}
		b.spec.Linux.Devices = append(b.spec.Linux.Devices, specs.LinuxDevice{
			Path: d.Path, Type: d.Type, Major: d.Major, Minor: d.Minor,
			FileMode: ptr(fileMode(d.Mode)), UID: ptr(d.UID), GID: ptr(d.GID),
		})
		if !b.c.Isolation.Privileged {
			rules = append(rules, specs.LinuxDeviceCgroup{Allow: true, Type: d.Type, Major: ptr(d.Major), Minor: ptr(d.Minor), Access: access})
		}
	}
	// Nobody can mknod in a user namespace and no rule can be set there.
	if !b.in.Host.Rootless { // root sets them from outside
		b.spec.Linux.Resources.Devices = rules
	}
	return nil
}

// labels sets the mandatory access control that the kernel has.
func (b *builder) labels() error {
	iso := b.c.Isolation
	b.spec.Process.SelinuxLabel = b.in.Labels.Process
	if len(iso.Label) > 0 && !b.in.Host.SELinux {
		b.warn("security_opt label is not applied: the kernel has no SELinux")
	}
	profile := iso.AppArmor
	if profile == "" && !iso.Privileged {
		profile = b.in.Labels.AppArmorProfile
	}
	switch {
	case profile == "" || profile == "unconfined":
	case b.in.Host.AppArmor:
		b.spec.Process.ApparmorProfile = profile
	case iso.AppArmor != "":
		b.warn("AppArmor profile %q is not applied: the kernel has no AppArmor", profile)
	}
	return nil
}
