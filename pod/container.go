package pod

import "time"

// Container is one container of the pod as it should be: a replica of a service.
type Container struct {
	// Name is unique on the machine: project-service-replica, or container_name.
	Name    string
	Service string
	// Replica counts from 1.
	Replica int
	// OneOff marks a container made by `run`, which no `up` starts, stops or replaces.
	OneOff bool `json:",omitempty"`
	// AutoRemove marks a one-off container that nobody waits for and that goes, once it has ended, with the next `up` or `run`.
	AutoRemove bool `json:",omitempty"`
	// Succeeds is the container whose place it takes once it is ready; "" for one that has its place. Leaving marks one
	// whose successor has taken its name.
	Succeeds string `json:",omitempty"`
	Leaving  bool   `json:",omitempty"`
	// Cell names the network namespace it lives in.
	Cell string

	// Image is the reference as written.
	Image string
	Pull  PullPolicy
	// PullAfter is the age from which an image is pulled again, with PullRefresh.
	PullAfter time.Duration `json:",omitempty"`
	Platform  string        `json:",omitempty"`

	// Entrypoint and Command are nil where the image decides; empty, not nil, clears what the image says.
	Entrypoint []string
	Command    []string
	Env        map[string]string `json:",omitempty"`
	// User is uid, name, uid:gid or name:group; "" is the image's.
	User   string   `json:",omitempty"`
	Groups []string `json:",omitempty"`
	// Umask is the file mode creation mask of its processes (umask(2)); nil is 022.
	Umask      *uint32 `json:",omitempty"`
	WorkingDir string  `json:",omitempty"`
	TTY        bool    `json:",omitempty"`
	Stdin      bool    `json:",omitempty"`
	// StdinOnce makes stdin end with the caller that attaches first; without it, it stays open as long as the container runs.
	StdinOnce bool `json:",omitempty"`
	// Init asks for an init process that reaps zombies and forwards signals.
	Init bool `json:",omitempty"`

	Hostname   string `json:",omitempty"`
	Domainname string `json:",omitempty"`
	ExtraHosts []Host `json:",omitempty"`
	// NoHosts leaves /etc/hosts as the image has it; names are then known by the pod's resolver only.
	NoHosts bool `json:",omitempty"`
	// Aliases are names that this container alone knows others by, sorted by name.
	Aliases []Alias           `json:",omitempty"`
	DNS     DNS               `json:",omitzero"`
	Labels  map[string]string `json:",omitempty"`
	// Annotations go into the runtime-spec as they are.
	Annotations map[string]string `json:",omitempty"`

	Mounts []Mount `json:",omitempty"`
	// VolumesFrom are the containers whose mounts it has too, those of Mounts on the same target aside.
	VolumesFrom []VolumesFrom `json:",omitempty"`
	// Files are secrets and configs: files on a tmpfs of the container.
	Files    []File `json:",omitempty"`
	ReadOnly bool   `json:",omitempty"`
	// ShmSize is the size of /dev/shm in bytes; 0 is 64 MiB.
	ShmSize int64 `json:",omitempty"`

	Isolation Isolation `json:",omitzero"`
	Resources Resources `json:",omitzero"`

	// NetworkMode and Networks say whom the container can reach. Networks are sorted by key.
	// Joined is the network outside the pod that NetworkMode names, for who plans; the cell has it.
	Joined      Joined       `json:"-"`
	NetworkMode NetworkMode  `json:",omitempty"`
	Networks    []Attachment `json:",omitempty"`
	// Sharing is what the user says over the planner's choice of the cell (x-pcompose: {network: own}).
	Sharing Sharing `json:",omitempty"`

	// Runtime names the OCI runtime, or is its path; "" is the pod's.
	Runtime string `json:",omitempty"`
	// Storage are options of the storage driver for the container's root: size.
	Storage map[string]string `json:",omitempty"`

	// Listens are the ports declared in the file; Ports those published on the host.
	Listens []Listen `json:",omitempty"`
	Ports   []Port   `json:",omitempty"`

	// PreStart are containers that run to their end, one after the other, before each start by a user. One that several
	// replicas have in common, by its name, runs once for them.
	PreStart []Container `json:",omitempty"`
	// Hook is what a container of PreStart is of its service: "pre_start[0]"; "" for any other.
	Hook string `json:",omitempty"`
	// PostStart run after each start by a user, one after the other, PreStop before each stop by one.
	PostStart []Hook `json:",omitempty"`
	PreStop   []Hook `json:",omitempty"`

	After   []Dependency `json:",omitempty"`
	Health  *Health      `json:",omitempty"`
	Restart Restart      `json:",omitzero"`
	Stop    Stop         `json:",omitzero"`
	Log     Log          `json:",omitzero"`
	// Update is nil where the file does not say how its service is updated: then all that changed are replaced at once.
	Update *Update `json:",omitempty"`
}

// Hook is a command that runs in a container at a point of its life.
type Hook struct {
	Command []string
	// Env is over the container's; User and WorkingDir "" are the container's.
	Env        map[string]string `json:",omitempty"`
	User       string            `json:",omitempty"`
	WorkingDir string            `json:",omitempty"`
	Privileged bool              `json:",omitempty"`
}

// LabelSlug is the label that tells a one-off container from all others, as docker compose has it.
const LabelSlug = "com.docker.compose.slug"

// Slug tells a one-off container from all others; "" for the containers of services.
func (c Container) Slug() string { return c.Labels[LabelSlug] }

// PullPolicy says when an image is pulled.
type PullPolicy string

const (
	PullMissing PullPolicy = "missing"
	PullAlways  PullPolicy = "always"
	PullNever   PullPolicy = "never"
	// PullBuild never pulls: the image is built.
	PullBuild PullPolicy = "build"
	// PullRefresh pulls an image again that was last pulled PullAfter ago.
	PullRefresh PullPolicy = "refresh"
)

// Host is a line of /etc/hosts.
type Host struct {
	Name string
	// IP is an address, or HostGateway.
	IP string
}

// Alias is a further name of a service, or of a container, which may be one of another pod.
type Alias struct {
	Name      string
	Service   string
	Container string `json:",omitempty"`
}

// HostGateway in place of an address means the host as the pod sees it.
const HostGateway = "host-gateway"

// DNS is what resolv.conf says in place of the host's.
type DNS struct {
	Servers []string `json:",omitempty"`
	Search  []string `json:",omitempty"`
	Options []string `json:",omitempty"`
}

// MountType is where a mount's content comes from.
type MountType string

const (
	MountBind   MountType = "bind"
	MountVolume MountType = "volume"
	MountTmpfs  MountType = "tmpfs"
	MountImage  MountType = "image"
)

// Mount is a bind mount, a volume, a tmpfs or the files of an image in a container.
type Mount struct {
	Type MountType
	// Source is a host path (bind), a volume's name (volume) or an image's reference (image); "" for an anonymous
	// volume and a tmpfs.
	Source string `json:",omitempty"`
	// Target is absolute, in the container.
	Target   string
	ReadOnly bool `json:",omitempty"`
	// CreateHostPath makes a missing source directory of a bind mount.
	CreateHostPath bool `json:",omitempty"`
	// Propagation is a bind mount's: private, rprivate, shared, rshared, slave, rslave; "" is rprivate.
	Propagation string `json:",omitempty"`
	// Recursive says how submounts of a bind mount follow: "" or enabled, disabled, writable, readonly.
	Recursive string `json:",omitempty"`
	// NoCopy leaves an empty volume empty instead of filling it from the image.
	NoCopy bool `json:",omitempty"`
	// Subpath of a volume or an image that is mounted instead of its root.
	Subpath string `json:",omitempty"`
	// Size of a tmpfs in bytes, 0 without bound; Mode its permission bits, 0 for 01777.
	Size int64  `json:",omitempty"`
	Mode uint32 `json:",omitempty"`
	// Options of a tmpfs are further ones of tmpfs(5) and mount(8): exec, uid=1000, nr_inodes=10k.
	Options []string `json:",omitempty"`
	// SELinux is "z" to label the source for all containers, "Z" for this one alone.
	SELinux string `json:",omitempty"`
}

// VolumesFrom is another container whose binds and volumes, the anonymous ones too, a container has.
type VolumesFrom struct {
	// Container is its name. It may be of another project.
	Container string
	// ReadOnly mounts them all read-only.
	ReadOnly bool `json:",omitempty"`
}

// Images are the references of all images it is made of: its own, and those it mounts.
func (c Container) Images() []string {
	images := []string{c.Image}
	for _, m := range c.Mounts {
		if m.Type == MountImage {
			images = append(images, m.Source)
		}
	}
	for _, h := range c.PreStart {
		images = append(images, h.Images()...)
	}
	return images
}

// File is a secret or a config in a container.
type File struct {
	// Source is the key in the Compose file, for messages.
	Source string
	// Secret marks a secret, whose content is never printed.
	Secret bool `json:",omitempty"`
	// Target is the absolute path in the container.
	Target string
	// HostPath is the file the content is read from, at creation; else Content is it.
	HostPath string `json:",omitempty"`
	// EnvVar is the variable of the caller's environment that holds the content; its value is never stored.
	EnvVar string `json:",omitempty"`
	// External is the name of the secret in podman's store that is the content.
	External string `json:",omitempty"`
	Content  string `json:",omitempty"`
	// Digest of the content, so that a change of it is a change of the container.
	Digest string `json:",omitempty"`
	// UID and GID are numbers in the container; Mode the permission bits.
	UID, GID int
	Mode     uint32
}

// Until is the condition a dependency waits for.
type Until string

const (
	UntilStarted   Until = "started"
	UntilHealthy   Until = "healthy"
	UntilCompleted Until = "completed"
	// UntilReady is what `up --wait` waits for: healthy where there is a health check, else running; a
	// container that has exited with 0 is done, and ready too.
	UntilReady Until = "ready"
)

// Dependency makes a container start only after another has come as far as Until.
type Dependency struct {
	// On is the service waited for: all its replicas.
	On    string
	Until Until
	// Required false lets the start go on, with a warning, where On is absent or fails.
	Required bool
	// Restart restarts this container when On is restarted or replaced.
	Restart bool `json:",omitempty"`
}

// Health is a health check.
type Health struct {
	// Test is ["CMD", arg...], ["CMD-SHELL", line]; ["NONE"] switches off the image's.
	Test []string
	// Zero values below are the defaults of the Compose specification: 30s, 30s, 0s, 5s, 3.
	Interval      time.Duration `json:",omitempty"`
	Timeout       time.Duration `json:",omitempty"`
	StartPeriod   time.Duration `json:",omitempty"`
	StartInterval time.Duration `json:",omitempty"`
	Retries       int           `json:",omitempty"`
}

// RestartPolicy says after which exits a container is started again.
type RestartPolicy string

const (
	RestartNo            RestartPolicy = "no"
	RestartAlways        RestartPolicy = "always"
	RestartOnFailure     RestartPolicy = "on-failure"
	RestartUnlessStopped RestartPolicy = "unless-stopped"
)

// Restart is a restart policy with its bound.
type Restart struct {
	// Policy "" is RestartNo.
	Policy RestartPolicy `json:",omitempty"`
	// MaxRetries bounds the restarts that failed; 0 is no bound.
	MaxRetries int `json:",omitempty"`
	// Delay is the wait before each restart; 0 is a back-off that grows.
	Delay time.Duration `json:",omitempty"`
	// Window is how long a container must live after a restart for that not to count as failed; 0 counts every one.
	Window time.Duration `json:",omitempty"`
}

// Stop is how a container is asked to end.
type Stop struct {
	// Signal "" is the image's STOPSIGNAL, else SIGTERM.
	Signal string `json:",omitempty"`
	// Grace is the time until SIGKILL; nil is ten seconds.
	Grace *time.Duration `json:",omitempty"`
}

// DefaultStopGrace is the time a container has to end before it is killed, where the file says nothing.
const DefaultStopGrace = 10 * time.Second

// GraceOrDefault is the time until SIGKILL.
func (s Stop) GraceOrDefault() time.Duration {
	if s.Grace == nil {
		return DefaultStopGrace
	}
	return *s.Grace
}

// LogDriver says what becomes of a container's output.
type LogDriver string

const (
	// LogFile keeps output in rotated files; json-file, k8s-file and local in a Compose file all mean it.
	LogFile LogDriver = "file"
	// LogNone drops output.
	LogNone LogDriver = "none"
)

// Log is how a container's output is kept.
type Log struct {
	// Driver "" is LogFile.
	Driver LogDriver `json:",omitempty"`
	// MaxSize of one file in bytes, 0 is 10 MiB; MaxFiles kept, 0 is 5.
	MaxSize  int64 `json:",omitempty"`
	MaxFiles int   `json:",omitempty"`
}
