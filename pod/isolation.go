package pod

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Isolation is what a container may do beyond the defaults, and what it may not.
type Isolation struct {
	Privileged bool `json:",omitempty"`
	// CapAdd and CapDrop name capabilities, with or without CAP_; ALL is all of them.
	CapAdd  []string `json:",omitempty"`
	CapDrop []string `json:",omitempty"`
	// NoNewPrivileges is the no_new_privs bit (prctl(2)).
	NoNewPrivileges bool `json:",omitempty"`
	// Seccomp is "" for the default profile, "unconfined", or the absolute path of a profile.
	Seccomp string `json:",omitempty"`
	// AppArmor and Label are as security_opt has them; they are applied where the kernel has them.
	AppArmor string   `json:",omitempty"`
	Label    []string `json:",omitempty"`
	// Unmask are paths that are not masked or read-only; ALL is all of them. Mask are further masked paths.
	Unmask []string `json:",omitempty"`
	Mask   []string `json:",omitempty"`

	// ProcOptions are further options of the mount of /proc (proc(5)): hidepid=2.
	ProcOptions []string `json:",omitempty"`
	// WritableCgroups lets it write to the cgroups it sees at /sys/fs/cgroup.
	WritableCgroups bool `json:",omitempty"`

	// PID, IPC and UTS are namespaces it may share; "" is one of its own.
	PID Namespace `json:",omitempty"`
	IPC Namespace `json:",omitempty"`
	UTS Namespace `json:",omitempty"`
	// User is its user namespace.
	User UserNS `json:",omitzero"`
	// CgroupNS is NamespaceHost or NamespacePrivate; "" is private with cgroup v2 and the host's with v1.
	CgroupNS Namespace `json:",omitempty"`
	// CgroupParent is the absolute path of the cgroup above the container's; "" is the pod's.
	CgroupParent string `json:",omitempty"`

	Sysctls map[string]string `json:",omitempty"`
	Ulimits []Ulimit          `json:",omitempty"`
	Devices []Device          `json:",omitempty"`
	// CDI are names of devices that files on the host describe: vendor.com/class=name (Container Device Interface).
	CDI []string `json:",omitempty"`
	// DeviceRules are further entries of the cgroup's allow list.
	DeviceRules []DeviceRule `json:",omitempty"`
}

// Namespace says which namespace of the kernel a container is in: one of the words below, or that of another
// container, see InContainer.
type Namespace string

const (
	// NamespaceHost is the host's.
	NamespaceHost Namespace = "host"
	// NamespacePrivate is one of its own.
	NamespacePrivate Namespace = "private"
	// NamespaceShareable is an IPC namespace of its own that others may join, with its /dev/shm.
	NamespaceShareable Namespace = "shareable"
	// NamespaceNone is an IPC namespace of its own without /dev/shm.
	NamespaceNone Namespace = "none"
)

const inContainer = "container:"

// InContainer is the namespace of the container of that name.
func InContainer(name string) Namespace { return Namespace(inContainer + name) }

// Container is the name of the container whose namespace it is; ok is false where it is none's.
func (n Namespace) Container() (name string, ok bool) {
	return strings.CutPrefix(string(n), inContainer)
}

// Ulimit is a resource limit (getrlimit(2)); -1 is no limit.
type Ulimit struct {
	// Name is lower case without RLIMIT_: nofile, nproc, core.
	Name string
	Soft int64
	Hard int64
}

// Device is a device node of the host in the container.
type Device struct {
	Source string
	Target string
	// Permissions are of "rwm"; "" is all three.
	Permissions string `json:",omitempty"`
}

// Resources are the limits of a container's cgroup; zero values set nothing.
type Resources struct {
	// Memory, MemoryReservation, MemorySwap (memory and swap together, -1 for no bound) are bytes.
	Memory            int64 `json:",omitempty"`
	MemoryReservation int64 `json:",omitempty"`
	MemorySwap        int64 `json:",omitempty"`
	// CPUs is a number of CPUs: 0.5 is half of one.
	CPUs      float64 `json:",omitempty"`
	CPUShares int64   `json:",omitempty"`
	// CPUQuota and CPUPeriod are microseconds.
	CPUQuota  int64  `json:",omitempty"`
	CPUPeriod int64  `json:",omitempty"`
	CPUSet    string `json:",omitempty"`
	// Pids bounds processes; -1 is no bound.
	Pids        int64 `json:",omitempty"`
	OOMScoreAdj int   `json:",omitempty"`
	// CPURTPeriod and CPURTRuntime are microseconds for real-time tasks (sched(7)); cgroup v1 has them.
	CPURTPeriod  int64 `json:",omitempty"`
	CPURTRuntime int64 `json:",omitempty"`
	// MemorySwappiness is 0 to 100, nil for the host's; OOMKillDisable suspends instead of killing. cgroup v1 has both.
	MemorySwappiness *uint64 `json:",omitempty"`
	OOMKillDisable   bool    `json:",omitempty"`
	BlockIO          BlockIO `json:",omitzero"`
}

// BlockIO are limits of block devices. Weights are 10 to 1000, 0 for none.
type BlockIO struct {
	Weight       uint16        `json:",omitempty"`
	WeightDevice []DeviceValue `json:",omitempty"`
	ReadBps      []DeviceValue `json:",omitempty"`
	WriteBps     []DeviceValue `json:",omitempty"`
	ReadIOps     []DeviceValue `json:",omitempty"`
	WriteIOps    []DeviceValue `json:",omitempty"`
}

// DeviceValue is a weight of a block device, or its bytes or operations in a second.
type DeviceValue struct {
	// Path is the device's node on the host.
	Path  string
	Value uint64
}

// DeviceRule allows a container to use devices that it has, or makes, nodes of.
type DeviceRule struct {
	// Type is "c", "b", or "a" for both.
	Type string
	// Major and Minor are -1 for all.
	Major, Minor int64
	// Permissions are of "rwm".
	Permissions string
}

// ParseDeviceRule reads a rule as the cgroup's devices.allow has it: "c 1:3 rwm", "b 8:* r", "a" for everything.
func ParseDeviceRule(text string) (DeviceRule, error) {
	bad := fmt.Errorf("%q is no rule: write TYPE MAJOR:MINOR PERMISSIONS, as in \"c 1:3 rwm\", * for all", text)
	fields := strings.Fields(text)
	if len(fields) == 1 && fields[0] == "a" {
		return DeviceRule{Type: "a", Major: -1, Minor: -1, Permissions: "rwm"}, nil
	}
	if len(fields) != 3 || !slices.Contains([]string{"a", "b", "c"}, fields[0]) || strings.Trim(fields[2], "rwm") != "" {
		return DeviceRule{}, bad
	}
	major, minor, ok := strings.Cut(fields[1], ":")
	rule := DeviceRule{Type: fields[0], Permissions: fields[2]}
	for number, text := range map[*int64]string{&rule.Major: major, &rule.Minor: minor} {
		if *number = -1; text == "*" {
			continue
		}
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil || !ok {
			return DeviceRule{}, bad
		}
		*number = int64(n)
	}
	return rule, nil
}
