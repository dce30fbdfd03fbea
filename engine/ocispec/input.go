// Package ocispec is a container as a runtime specification: pure, from data the caller has gathered.
//
// Two kinds of things come in and are kept apart. The Compose file (pod.Container) decides isolation; the image
// (ImageConfig) only says what to run: its environment, command, user and working directory. Nothing of an image
// reaches namespaces, capabilities, mounts, limits or annotations (CVE-2026-94603); a property test holds that.
package ocispec

import (
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/pcompose/pcompose/pod"
)

// Input is everything a spec is made from. Paths are absolute; what needs the machine (users, devices, volumes, host
// facts) was resolved by the caller.
type Input struct {
	Container pod.Container
	Image     ImageConfig
	User      User
	Host      Host

	// Rootfs is the mounted root file system.
	Rootfs string
	// UIDs and GIDs are the IDs of a user namespace of its own; none has it in the runtime's.
	UIDs, GIDs []specs.LinuxIDMapping
	// NetNS is the network namespace to join; "" makes an empty one, unless HostNetwork.
	NetNS       string
	HostNetwork bool
	// Shm is the directory that /dev/shm of an IPC namespace shows that others may join; "" is a tmpfs of its own.
	Shm string
	// CgroupPath is for the cgroupfs driver "/pod/container", for systemd's "slice:prefix:name".
	CgroupPath string
	// InitPath is a static init program on the host, used where Container.Init asks for it.
	InitPath string

	// Mounts are Container.Mounts and the image's volumes, resolved; Container.Mounts is not read.
	Mounts []Mount
	// Files are hosts, resolv.conf, hostname, secrets and configs. A mount on the same target wins over one.
	Files []FileMount
	// Devices are Isolation.Devices resolved, and every device of the host when privileged.
	Devices []Device
	// BlockDevices are the numbers of the paths that Resources.BlockIO names.
	BlockDevices map[string]DeviceNumber
	// SeccompProfile is the content of the file Isolation.Seccomp names.
	SeccompProfile []byte
	Labels         Labels
}

// ImageConfig is what is read of an image's config; all of it is data from strangers.
type ImageConfig struct {
	Env        []string
	Entrypoint []string
	Cmd        []string
	User       string
	WorkingDir string
	// Volumes, StopSignal and Healthcheck are for the caller: they do not touch the spec.
	Volumes     []string
	StopSignal  string
	Healthcheck *pod.Health
}

// User is who runs the process, looked up in the container's passwd and group by the caller.
type User struct {
	UID, GID uint32
	// Groups are the supplementary groups.
	Groups []uint32
	// Home becomes HOME where nothing sets it; "" is "/".
	Home string
}

// Host says what this machine, and this process on it, can do.
type Host struct {
	// Arch is GOARCH, for the system calls' names.
	Arch     string
	CgroupV2 bool
	// Controllers are those whose limits can be set in CgroupPath.
	Controllers []string
	// Swap says whether swap can be limited (v1: memory.memsw.* exists; v2: memory.swap.max).
	Swap bool
	// BlockWeight says whether block devices can be weighted: an I/O scheduler that does is there.
	BlockWeight bool
	// Realtime says whether cgroups can bound real-time tasks (v1, CONFIG_RT_GROUP_SCHED).
	Realtime bool
	Rootless bool
	// UIDs and GIDs are how many user and group IDs there are, from 0 on; 0 is all.
	UIDs, GIDs int
	// MQueue says whether the host has POSIX message queues at /dev/mqueue.
	MQueue bool
	// MaxRlimits are the highest values that may be set, by lower-case name; absent is no bound. Without
	// CAP_SYS_RESOURCE in the first user namespace they are the process's hard limits, else RLIM_INFINITY
	// (nofile: /proc/sys/fs/nr_open).
	MaxRlimits map[string]uint64
	// MinOOMScoreAdj is the lowest oom_score_adj that may be set: -1000, or the process's own without CAP_SYS_RESOURCE.
	MinOOMScoreAdj int
	// Caps is the bounding set, "CAP_CHOWN"; nil is all capabilities.
	Caps []string
	// Seccomp, AppArmor and SELinux say whether the kernel has them.
	Seccomp, AppArmor, SELinux bool
	// Unfiltered is why the OCI runtime cannot filter system calls though the kernel could, "" where it can.
	Unfiltered string
	// MaskedPaths are paths to mask that differ from host to host (/sys/devices/system/cpu/cpu*/thermal_throttle).
	MaskedPaths []string
}

// Labels are the SELinux labels of a container, and the AppArmor profile used where the file names none.
type Labels struct {
	Process, Mount  string
	AppArmorProfile string
}

// Mount is a mount with the place its content comes from.
type Mount struct {
	pod.Mount
	// HostPath is what a bind mount or volume shows, subpath resolved; unused for a tmpfs.
	HostPath string
}

// FileMount is one file of the host in the container.
type FileMount struct {
	Source, Target string
	ReadOnly       bool
}

// Device is a device node in the container.
type Device struct {
	Path string
	// Type is "c" or "b".
	Type         string
	Major, Minor int64
	// Mode are permission bits.
	Mode     uint32
	UID, GID uint32
	// Permissions are of "rwm"; "" is all.
	Permissions string
}

// version of the runtime specification whose fields are used; runc 1.1 and crun 1.8 know it.
const version = "1.0.2"

// ptr is the address of a value, which specs wants for what may be absent.
func ptr[T any](v T) *T { return &v }

// builder carries one Spec call.
type builder struct {
	in       *Input
	c        *pod.Container
	spec     *specs.Spec
	warnings []string
	// undelegated are limits that a user may not set.
	undelegated []undelegated
}
