package doctor

// Machine is what was found on a machine, for one user of it. Errors are texts, "" for none.
type Machine struct {
	User User
	// Distribution are ID and ID_LIKE of os-release(5), most specific first: "fedora" for rhel, "debian" for ubuntu.
	Distribution []string
	// Kernel is the release: "6.12.9-amd64".
	Kernel string
	// Systemd says whether it is the machine's init.
	Systemd bool
	// Program is the path of pcompose.
	Program string

	Clock       Clock
	Cgroups     Cgroups
	Security    Security
	Userns      Userns
	SubUIDs     SubIDs
	SubGIDs     SubIDs
	NewUIDMap   IDProgram
	NewGIDMap   IDProgram
	RunDir      RunDir
	Storage     Storage
	Disks       []Disk
	Runtime     Runtime
	Init        string // path of a static init program, "" for none
	CRIU        string // its version, "" where it is not installed
	Network     Network
	Registries  Registries
	Policy      Policy
	Logins      Logins
	Inotify     Inotify
	OpenFiles   uint64 // hard limit
	MayRaise    bool   // limits beyond the hard ones: CAP_SYS_RESOURCE
	LowestPort  int    // that a user may bind: net.ipv4.ip_unprivileged_port_start
	Forwarding  bool   // net.ipv4.ip_forward
	SysReadOnly bool   // /proc/sys cannot be written, as in containers
}

// User is who asked.
type User struct {
	UID  int    `json:"uid"`
	Name string `json:"name"`
}

func (u User) root() bool { return u.UID == 0 }

// Clock is the time of the machine.
type Clock struct {
	// Behind says that it is earlier than what cannot be later: the commit that the program was built from.
	Behind bool
	Now    string
	// Synchronized is what the kernel was told by an NTP client (adjtimex(2)).
	Synchronized bool
}

// Cgroups is the control groups. Version is "v2", "v1", "hybrid", or "" where none are mounted.
type Cgroups struct {
	Version     string
	Controllers []string
	// Delegated are the controllers that the user may set limits by from where they are, Manager those from below their
	// systemd; v2 only.
	Delegated, Manager []string
	// Unified are the controllers of the v2 side in hybrid mode.
	Unified []string
}

// Security is what confines processes. AppArmor and SELinux are "" where they are not there.
type Security struct {
	Seccomp  bool
	AppArmor string
	SELinux  string
}

// Userns is the user namespaces that ordinary users may make.
type Userns struct {
	// Error is what happened to a process that tried.
	Error string
	// Max is user.max_user_namespaces, -1 for unknown.
	Max int
	// Clone is kernel.unprivileged_userns_clone, a sysctl of Debian's and Arch's kernels; "" where it is not there.
	Clone string
	// AppArmor is kernel.apparmor_restrict_unprivileged_userns, of Ubuntu's; "" where it is not there.
	AppArmor string
}

// SubIDs are the IDs a user has beside their own, of subuid(5) or subgid(5).
type SubIDs struct {
	File string
	// Count is how many the user has, Free the first that nobody has.
	Count, Free int
}

// IDProgram is newuidmap or newgidmap.
type IDProgram struct {
	// Path is "" where it is not installed.
	Path string
	// Privileged says whether it may do its work: set-user-ID root, or CAP_SETUID or CAP_SETGID as file capability.
	Privileged bool
}

// RunDir is the directory of what does not outlive a user's session.
type RunDir struct {
	// Path is XDG_RUNTIME_DIR's, Error what is wrong with it.
	Path, Error string
	// Lingers says whether it outlives the log-out (loginctl(1)).
	Lingers bool
}

// Storage is where images and root filesystems are.
type Storage struct {
	Driver    string
	GraphRoot string
	// MountProgram is the program that mounts in the kernel's place: fuse-overlayfs.
	MountProgram string
	FileSystem   string
	// OverlayError is what happened to a native overlay mount on that file system.
	OverlayError string
	// OverlayKnown says whether the kernel has overlay already, or needs a module.
	OverlayKnown bool
	// Error is what is wrong with storage.conf.
	Error string
}

// Disk is a file system that pods need room on.
type Disk struct {
	// For says what is kept there: "images".
	For        string
	Path       string
	Free       uint64 // bytes that the user may take
	Size       uint64 // bytes that there are
	FreeInodes uint64
	// Inodes is how many there can be; 0 where the file system makes them as needed.
	Inodes   uint64
	ReadOnly bool
}

// Runtime is the OCI runtime that pods would get.
type Runtime struct {
	// Kind is crun, runc, youki, or Builtin.
	Kind    string
	Path    string
	Version string
	// Error is why there is none.
	Error string
	// BuiltinSeccomp says whether the one built in can filter system calls.
	BuiltinSeccomp bool
}

// Builtin is the Kind of the runtime that is part of pcompose.
const Builtin = "built-in"

// Network is how pods reach the host and each other.
type Network struct {
	// Veth, Bridge and Rules are what happened to a try, in a network namespace made for it.
	Veth, Bridge, Rules string
	// Pasta is its path, "" where it is not installed; PastaVersion what it says.
	Pasta, PastaVersion string
	// Tun is what happened to opening /dev/net/tun.
	Tun string
}

// Registries is registries.conf, with its drop-ins.
type Registries struct {
	// File is the path that is read, "" for none; Search its unqualified-search registries.
	File   string
	Search []string
	// Mirrors are registries with the places that are asked in their stead: "docker.io: mirror.local".
	Mirrors []string
	Error   string
}

// Policy is policy.json.
type Policy struct {
	// File is "" where there is none, Default what becomes of images that no rule names: "insecureAcceptAnything".
	File, Default, Error string
}

// Logins are the registries that credentials are kept for.
type Logins struct {
	Files      []string
	Registries []string
	// Readable are the files that others than their owner may read.
	Readable []string
	Error    string
}

// Inotify are the limits of a user; 0 for unknown.
type Inotify struct{ Watches, Instances int }
