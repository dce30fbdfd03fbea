package pod

import (
	"math"
	"time"
)

// Status is a pod as it was observed: what is remembered of it and what runs.
type Status struct {
	Name string
	// Spec is what the pod was last told to be; nil where there is no pod of that name.
	Spec *Spec `json:",omitempty"`
	// Up says whether the pod's namespaces and its supervisor exist.
	Up bool
	// Supervisor is the process id of the supervisor; 0 for none.
	Supervisor int `json:",omitempty"`
	// Watcher is the program that watches files for the pod in the background; nil for none.
	Watcher *WatcherStatus `json:",omitempty"`
	// NoRuntime is why no container could be started on this machine; "" when one could.
	NoRuntime string `json:",omitempty"`
	// Lacking says of containers that are wanted, by name, what the machine lacks to make them.
	Lacking map[string]string `json:",omitempty"`
	// Containers are sorted by name.
	Containers []ContainerStatus `json:",omitempty"`
	// Providers are those whose programs have brought something up, sorted by service.
	Providers []ProviderStatus `json:",omitempty"`
	// NoProgram says of types of providers that are wanted where their program was searched for in vain.
	NoProgram map[string]Search `json:",omitempty"`
	// Topology is the network as the supervisor has it; empty where the pod is not up.
	Topology Topology `json:",omitzero"`
	// Ports are the published ports as they are bound, host ports chosen by the kernel filled in.
	Ports []Port `json:",omitempty"`
	// Images are those in the store, by the reference the spec asked for.
	Images map[string]Image `json:",omitempty"`
	// Volumes are the names of volumes that exist, of those the spec asked for and those the pod has.
	Volumes []string `json:",omitempty"`
	// MadeAs says what volumes of Volumes were made as, by name.
	MadeAs map[string]Volume `json:",omitempty"`
	// Secrets are those of podman's store that the spec names, by name: what changes with each new content.
	Secrets map[string]string `json:",omitempty"`
	// Foreign are the containers of other projects that the spec takes volumes from, as far as they exist; sorted.
	Foreign []string `json:",omitempty"`
	// Denied are the ports that containers which do not run well could not bind, as their logs say and others of their cell
	// listen; sorted.
	Denied []Denial `json:",omitempty"`
	// Networks are what the machine has, beside this pod, of the networks the spec asked for, by Name.
	Networks map[string]Found `json:",omitempty"`
	// Owners are the containers of other projects whose network the spec joins, by the name that it says.
	Owners map[string]Owner `json:",omitempty"`
	// Elsewhere are the subnets of other networks of the machine: another network that may be shared some day has better
	// none of them. They are sorted.
	Elsewhere []string `json:",omitempty"`
	// Taken are host ports somebody else listens on, of those the spec asked for.
	Taken []TakenPort `json:",omitempty"`
}

// Container finds a container's status by name.
func (s Status) Container(name string) (ContainerStatus, bool) {
	for _, c := range s.Containers {
		if c.Name == name {
			return c, true
		}
	}
	return ContainerStatus{}, false
}

// Image is an image in the store, as far as planning needs it.
type Image struct {
	ID string
	// Age is the time since it was last pulled, UnknownAge where nobody wrote that down. It is there for images of
	// containers with PullRefresh.
	Age time.Duration `json:",omitempty"`
	// Listens are its EXPOSE.
	Listens []Listen `json:",omitempty"`
}

// Found is a network as others have it: one that was made by a command, or that is of other projects.
type Found struct {
	// Network says what it is, its Taken who has which address there.
	Network Network
	// Made says that a command made it; Owner is the project whose file does, "" for none.
	Made  bool
	Owner string
	// Users are the other projects on it, sorted; the owner is one of them once its network is shared.
	Users []string
}

// Owner is a container of another project whose network is joined.
type Owner struct {
	Joined
	Project, Service string
	// Runs says that it has a process: only then it has a network.
	Runs bool
}

// UnknownAge is the age of an image of which nobody knows when it was pulled: older than any other.
const UnknownAge time.Duration = math.MaxInt64

// TakenPort is a host port that another process listens on.
type TakenPort struct {
	HostIP   string
	HostPort uint16
	Protocol string
	// Owner names who listens, "nginx (pid 812)" or `container shop-web-1 of project "shop"`; "" where that cannot be read.
	Owner string
	// Stop is a command that ends it; "" for none that is known. Free is a host port nearby that nobody has, 0 for none.
	Stop string `json:",omitempty"`
	Free uint16 `json:",omitempty"`
	// Mine says that the socket is of the caller's user.
	Mine bool `json:",omitempty"`
	// PID and Process are those of who listens, Project the project of ours that it works for; zero where not known.
	PID     int    `json:",omitempty"`
	Process string `json:",omitempty"`
	Project string `json:",omitempty"`
}

// State is what a container is doing.
type State string

const (
	// StateStarting: its process is being started.
	StateStarting State = "starting"
	// StateCreated: its root exists, it never ran.
	StateCreated State = "created"
	// StatePartial: its creation was begun and not finished.
	StatePartial    State = "partial"
	StateRunning    State = "running"
	StatePaused     State = "paused"
	StateRestarting State = "restarting"
	StateExited     State = "exited"
)

// Alive says whether a process of the container runs or is about to.
func (s State) Alive() bool {
	return s == StateRunning || s == StatePaused || s == StateRestarting || s == StateStarting
}

// HealthState is what the health checks say; "" without a health check.
type HealthState string

const (
	HealthStarting  HealthState = "starting"
	HealthHealthy   HealthState = "healthy"
	HealthUnhealthy HealthState = "unhealthy"
)

// ContainerStatus is a container as it was observed.
type ContainerStatus struct {
	// Container is what it was made from.
	Container
	ID string
	// ImageID is the image it was made from.
	ImageID   string
	CreatedAt time.Time
	// Argv is what it runs, with what the image says filled in.
	Argv []string `json:",omitempty"`
	// Anonymous are its anonymous volumes: the path in the container and the volume's name.
	Anonymous map[string]string `json:",omitempty"`
	// Taken are the mounts it has from other containers, by VolumesFrom.
	Taken []Mount `json:",omitempty"`
	// MountedImages are the IDs of the images it mounts, by the path in the container.
	MountedImages map[string]string `json:",omitempty"`
	Run           Run
}

// Run is what has become of a container's process.
type Run struct {
	State State
	// PID of its first process, in the supervisor's PID namespace; 0 when none runs.
	PID        int       `json:",omitempty"`
	StartedAt  time.Time `json:",omitzero"`
	FinishedAt time.Time `json:",omitzero"`
	// ExitCode is 128+n after signal n, and UnknownExit where nobody was there to see it.
	ExitCode  int
	OOMKilled bool `json:",omitempty"`
	// Restarts counts the starts after the first that its restart policy made.
	Restarts int         `json:",omitempty"`
	Health   HealthState `json:",omitempty"`
	// FailingStreak counts the probes failed in a row; Probes are the newest five, oldest first.
	FailingStreak int     `json:",omitempty"`
	Probes        []Probe `json:",omitempty"`
	// PostStarted counts the post_start hooks that have ended well since a user started it.
	PostStarted int `json:",omitempty"`
	// Stopped says that a user asked for its end, so that no restart policy brings it back.
	Stopped bool `json:",omitempty"`
	// Error is why it could not be started.
	Error string `json:",omitempty"`
}

// UnknownExit is the exit code of a container that ended while nobody watched. It is never invented.
const UnknownExit = -1

// Probe is one run of a health check.
type Probe struct {
	At       time.Time
	Took     time.Duration
	ExitCode int
	// Output is its first 4096 bytes.
	Output string `json:",omitempty"`
}
