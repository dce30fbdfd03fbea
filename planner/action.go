package planner

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pcompose/pcompose/pod"
)

// Action is one change to the machine, or a wait for one. Every action is idempotent: done twice, the second
// time finds it done.
//
//sumtype:decl
type Action interface {
	describe() Description
}

// Kind of an object that actions act on.
type Kind string

const (
	KindPod       Kind = "pod"
	KindContainer Kind = "container"
	KindImage     Kind = "image"
	KindVolume    Kind = "volume"
	KindProvider  Kind = "provider"
)

type (
	// PullImage brings an image from its registry into the store.
	PullImage struct {
		Image    string
		Platform string
	}
	// BuildImage builds an image by its Dockerfile and gives it all its names.
	BuildImage struct {
		Build pod.Build
		// Pull has the registry of the image's name asked first: it is built where that has none.
		Pull bool
		// Check reads the Dockerfile, and says what is wrong with it, and builds nothing.
		Check bool
	}
	// PushImage sends an image of the store to the registry of its name.
	PushImage struct{ Image string }
	// CreateVolume makes a named volume.
	CreateVolume struct{ Volume pod.Volume }
	// CreateSandbox starts the pod's supervisor with its namespaces, and binds the published ports.
	CreateSandbox struct {
		Name     string
		Topology pod.Topology
		Ports    []pod.Port
	}
	// ConnectCells makes the cells and networks of a running pod exactly these; who is in a cell that stays does not
	// notice.
	ConnectCells struct {
		Name     string
		Topology pod.Topology
		// Added are the cells that there were not, Removed the names of those that there are no more.
		Added   []pod.Cell
		Removed []string
	}
	// PublishPorts makes exactly these ports published; running containers do not notice.
	PublishPorts struct {
		Name  string
		Ports []pod.Port
	}
	// CreateContainer makes a container's root and its bundle. It takes over the anonymous volumes that the
	// removal of the container before it has left, or shares those of one that still runs.
	CreateContainer struct {
		Container pod.Container
		// Shares names the container of this pod whose anonymous volumes it has too; "" for none.
		Shares string
	}
	// RenameContainer gives a container, while it runs, the name of another, which is called Was from then on and gets
	// no more connections; "" where there is no other.
	RenameContainer struct{ Name, To, Was string }
	// UpdateContainer changes what needs no new container: Changed names it.
	UpdateContainer struct {
		Container pod.Container
		Changed   []string
	}
	// StartContainer starts a container's process. Restart says that this is a user's restart of it.
	StartContainer struct {
		Name    string
		Restart bool
	}
	// RunPostStart runs a post_start hook in a container that runs. It fails where the hook does.
	RunPostStart struct {
		Name string
		// Index counts the hooks from 0.
		Index int
		Hook  pod.Hook
	}
	// RunPreStop runs a pre_stop hook, and kills it after Grace. Its failure is a warning.
	RunPreStop struct {
		Name  string
		Index int
		Hook  pod.Hook
		Grace time.Duration
	}
	// WaitContainer waits until a container has come as far as Until, and fails when it cannot any more.
	// Where Required is false, a failure is a warning.
	WaitContainer struct {
		Name     string
		Until    pod.Until
		Required bool
		// Steady is how long a container that is ready must stay so.
		Steady time.Duration
	}
	// StopContainer asks a container to end and kills it after Grace. It is not restarted.
	StopContainer struct {
		Name  string
		Grace time.Duration
	}
	// KillContainer sends a signal.
	KillContainer struct {
		Name   string
		Signal string
	}
	// PauseContainer freezes the processes of a running container.
	PauseContainer struct{ Name string }
	// UnpauseContainer lets them go on.
	UnpauseContainer struct{ Name string }
	// RemoveContainer removes a stopped container: its root, its logs and, if Volumes, its anonymous volumes.
	RemoveContainer struct {
		Name    string
		Volumes bool
	}
	// RemoveSandbox ends the supervisor and removes the namespaces and all that was made for the pod.
	RemoveSandbox struct{ Name string }
	// RemoveVolume removes a named volume and what is in it.
	RemoveVolume struct{ Name string }
	// RemoveImage removes an image from the store, where no container uses it.
	RemoveImage struct{ Image string }
	// BeginWatch has a program watch files in the background, in place of the one that does; EndWatch ends it.
	BeginWatch struct {
		Name    string
		Watcher pod.Watcher
	}
	// EndWatch is described with BeginWatch.
	EndWatch struct{ Name string }
	// RunProvider has the program of a provider bring its service up, take it down or stop it.
	RunProvider struct {
		Provider pod.Provider
		Command  ProviderCommand
	}
)

// ProviderCommand is what a provider's program is told to do.
type ProviderCommand string

const (
	ProviderUp   ProviderCommand = "up"
	ProviderDown ProviderCommand = "down"
	ProviderStop ProviderCommand = "stop"
)

// Description is how an action shows in a plan and in progress.
type Description struct {
	Kind Kind
	// Name of the object, Verb in the infinitive, and Detail that follows it; "" for none.
	Name, Verb, Detail string
}

// Object is kind/name.
func (d Description) Object() string { return string(d.Kind) + "/" + d.Name }

func (a PullImage) describe() Description {
	return Description{KindImage, a.Image, "pull", ""}
}

func (a BuildImage) describe() Description {
	d := Description{KindImage, a.Build.Image(), "build", ""}
	if a.Pull {
		d.Detail = "unless its registry has it"
	}
	if a.Check {
		d.Verb = "check"
	}
	return d
}

func (a PushImage) describe() Description {
	return Description{KindImage, a.Image, "push", ""}
}

func (a CreateVolume) describe() Description {
	return Description{KindVolume, a.Volume.Name, "create", ""}
}

func (a CreateSandbox) describe() Description {
	var details []string
	for _, d := range []string{portList(a.Ports), cellList(a.Topology.Cells[min(1, len(a.Topology.Cells)):])} {
		if d != "" {
			details = append(details, d)
		}
	}
	return Description{KindPod, a.Name, "create", strings.Join(details, " ")}
}

func (a ConnectCells) describe() Description {
	var details []string
	if len(a.Added) > 0 {
		details = append(details, cellList(a.Added))
	}
	if len(a.Removed) > 0 {
		details = append(details, "without cell "+strings.Join(a.Removed, ", "))
	}
	return Description{KindPod, a.Name, "connect", strings.Join(details, " ")}
}

func (a PublishPorts) describe() Description {
	return Description{KindPod, a.Name, "publish", portList(a.Ports)}
}

func (a CreateContainer) describe() Description {
	d := Description{KindContainer, a.Container.Name, "create", ""}
	if cell := a.Container.Cell; cell != "" && cell != pod.DefaultCell {
		d.Detail = "in cell " + cell
	}
	return d
}

func (a UpdateContainer) describe() Description {
	return Description{KindContainer, a.Container.Name, "update", strings.Join(a.Changed, ", ")}
}

func (a StartContainer) describe() Description {
	return Description{KindContainer, a.Name, "start", ""}
}

func (a RunPostStart) describe() Description {
	return Description{KindContainer, a.Name, "run", fmt.Sprintf("post_start[%d]", a.Index)}
}

func (a RunPreStop) describe() Description {
	return Description{KindContainer, a.Name, "run", fmt.Sprintf("pre_stop[%d]", a.Index)}
}

func (a WaitContainer) describe() Description {
	d := Description{KindContainer, a.Name, "wait", "until " + string(a.Until)}
	if a.Steady > 0 {
		d.Detail += " for " + a.Steady.String()
	}
	return d
}

func (a StopContainer) describe() Description {
	return Description{KindContainer, a.Name, "stop", ""}
}

func (a RenameContainer) describe() Description {
	d := Description{KindContainer, a.Name, "rename", "to " + a.To}
	if a.Was != "" {
		d.Detail += ", which becomes " + a.Was
	}
	return d
}

func (a KillContainer) describe() Description {
	return Description{KindContainer, a.Name, "kill", "with " + a.Signal}
}

func (a PauseContainer) describe() Description {
	return Description{KindContainer, a.Name, "pause", ""}
}

func (a UnpauseContainer) describe() Description {
	return Description{KindContainer, a.Name, "unpause", ""}
}

func (a RemoveContainer) describe() Description {
	d := Description{KindContainer, a.Name, "remove", ""}
	if a.Volumes {
		d.Detail = "with its anonymous volumes"
	}
	return d
}

func (a RemoveSandbox) describe() Description {
	return Description{KindPod, a.Name, "remove", ""}
}

func (a RemoveVolume) describe() Description {
	return Description{KindVolume, a.Name, "remove", ""}
}

func (a RemoveImage) describe() Description {
	return Description{KindImage, a.Image, "remove", ""}
}

func (a BeginWatch) describe() Description {
	return Description{KindPod, a.Name, "watch", strings.Join(a.Watcher.Services, ", ")}
}

func (a EndWatch) describe() Description {
	return Description{KindPod, a.Name, "unwatch", ""}
}

func (a RunProvider) describe() Description {
	return Description{KindProvider, a.Provider.Service, "run", a.Provider.Type + " compose " + string(a.Command)}
}

// cellList is "with cell a (why), b (why)"; "" for none.
func cellList(cells []pod.Cell) string {
	if len(cells) == 0 {
		return ""
	}
	list := make([]string, len(cells))
	for i, c := range cells {
		list[i] = fmt.Sprintf("%s (%s)", c.Name, c.Why)
	}
	return "with cell " + strings.Join(list, ", ")
}

// portList is "0.0.0.0:8080->80/tcp, ..." of ports.
func portList(ports []pod.Port) string {
	var list []string
	for _, p := range ports {
		if s := p.String(); !slices.Contains(list, s) { // replicas share one
			list = append(list, s)
		}
	}
	return strings.Join(list, ", ")
}

// unique sorts IDs and drops zeros and doubles.
func unique(ids []int) []int {
	ids = slices.DeleteFunc(slices.Clone(ids), func(id int) bool { return id == 0 })
	slices.Sort(ids)
	return slices.Compact(ids)
}
