package pod

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

	Sysctls map[string]string `json:",omitempty"`
	Ulimits []Ulimit          `json:",omitempty"`
	Devices []Device          `json:",omitempty"`
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
}
