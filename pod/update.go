package pod

import "time"

// Update says how the containers of a service are replaced (deploy.update_config).
type Update struct {
	// StartFirst starts a container's successor, and waits until it is ready, before the container is stopped.
	StartFirst bool `json:",omitempty"`
	// Parallelism is how many replicas are replaced at a time; 0 is all of them.
	Parallelism int
	// Delay is the time between those replaced at a time and the next, in which the new ones must stay ready.
	Delay time.Duration `json:",omitempty"`
	// Monitor is how long a new one must stay ready to count as replaced.
	Monitor   time.Duration `json:",omitempty"`
	OnFailure FailureAction `json:",omitempty"`
}

// FailureAction is what follows a replacement that does not become ready.
type FailureAction string

const (
	// FailurePause goes no further, and leaves it for a look.
	FailurePause FailureAction = ""
	// FailureContinue goes on with the other replicas.
	FailureContinue FailureAction = "continue"
	// FailureRollback goes no further, and removes it where the container that it was to replace still runs.
	FailureRollback FailureAction = "rollback"
)

// SuccessorName is the name of a container's successor until it takes its name.
func SuccessorName(name string) string { return name + ".new" }

// PredecessorName is the name of a container whose successor has taken its name, until it is removed.
func PredecessorName(name string) string { return name + ".old" }

// Successor is a container as it is made to take the place of the one of its name, which still runs.
func (c Container) Successor() Container {
	c.Succeeds = c.Name
	return c.Renamed(SuccessorName(c.Name))
}

// Renamed is a container under another name.
func (c Container) Renamed(name string) Container {
	c.Name = name
	var ports []Port
	for _, p := range c.Ports {
		p.Container = name
		ports = append(ports, p)
	}
	c.Ports = ports
	return c
}
