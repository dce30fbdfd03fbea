// Package control is the words that the CLI and a pod's supervisor exchange over the pod's socket.
//
// A connection carries one request and its replies. Files travel with the first byte of a message
// (SCM_RIGHTS, unix(7)). The socket is 0600 in a 0700 directory and each end checks who the other is.
package control

import (
	"time"

	"github.com/pcompose/pcompose/pod"
)

// Request asks a supervisor for one thing: exactly one field is set.
type Request struct {
	// Status is answered by one reply; Watch by one now and one at every change, until either side closes.
	Status *struct{} `json:",omitempty"`
	Watch  *struct{} `json:",omitempty"`
	// Start is answered when the process runs, or could not be started.
	Start *Start `json:",omitempty"`
	// Stop is answered when the process has ended and its output is stored.
	Stop   *Stop   `json:",omitempty"`
	Signal *Signal `json:",omitempty"`
	// Pause and Unpause are answered when the container's processes are frozen or go on.
	Pause   *Pause   `json:",omitempty"`
	Unpause *Unpause `json:",omitempty"`
	// Attach is answered with a file to write a running container's input to: the write end of its stdin, or its
	// terminal's master. With no file where it has neither. CloseInput closes a stdin that belongs to one caller.
	Attach     *Attach     `json:",omitempty"`
	CloseInput *CloseInput `json:",omitempty"`
	// Wait is answered when the condition is reached, or cannot be any more.
	Wait *Wait `json:",omitempty"`
	// Forget makes the supervisor end a container and forget it; it is answered when nothing of its runtime state
	// is left.
	Forget  *Forget  `json:",omitempty"`
	Update  *Update  `json:",omitempty"`
	Publish *Publish `json:",omitempty"`
	Connect *Connect `json:",omitempty"`
	Rename  *Rename  `json:",omitempty"`
	// Exec is answered twice: when the process runs (with the terminal's master, if it has one), and when it
	// has ended. Its stdin, stdout and stderr come with the request unless it has a terminal.
	Exec *Exec `json:",omitempty"`
	// Hook is answered with the exit code when the hook has ended. Asked again while it runs, it is not run again.
	Hook *Hook `json:",omitempty"`
	// Attend is answered when the program watches files, or with why it cannot, and an end of it when it has ended.
	Attend *Attend `json:",omitempty"`
	// Shutdown ends what still runs; it is answered when the network is gone.
	Shutdown *struct{} `json:",omitempty"`
}

// Start starts the container whose bundle was made in the pod's run directory.
type Start struct{ ID string }

// Stop ends a container.
type Stop struct {
	ID    string
	Grace time.Duration
}

// Signal sends a signal, by name, to a container's first process.
type Signal struct{ ID, Name string }

// Pause freezes the processes of a running container, Unpause thaws them. One that is paused, or is not, stays so.
type Pause struct {
	ID string
	// Held thaws them, unless a user paused them too, when the connection ends: a client that was killed leaves nothing
	// paused, nor does a supervisor that was.
	Held bool `json:",omitempty"`
}

// Unpause is described with Pause.
type Unpause struct{ ID string }

// Attach asks for a container's input. Of a stdin that belongs to one caller (pod.Container.StdinOnce) the supervisor
// lets go then, so that it ends with that caller.
type Attach struct{ ID string }

// CloseInput closes what the supervisor may still hold of a stdin that belongs to one caller. Idempotent.
type CloseInput struct{ ID string }

// Wait waits for a condition; Until "" is the end of the process, whatever its exit code.
type Wait struct {
	ID    string
	Until pod.Until
	// Began, where not zero, ends the wait with the run that began then, though a restart follows.
	Began time.Time `json:",omitzero"`
}

// Forget forgets a container.
type Forget struct{ ID string }

// Update tells the supervisor what is new of a container: health check, restart policy, stop signal.
type Update struct {
	ID        string
	Container pod.Container
}

// Publish makes exactly these ports published.
type Publish struct{ Ports []pod.Port }

// Connect makes the network of the pod exactly this.
type Connect struct{ Topology pod.Topology }

// Rename gives a container the name To. Another that has it is called Was from then on, and gets no more connections.
type Rename struct{ ID, To, Was string }

// Exec runs a process in a running container. Process is its runtime-spec process (config.md, "process").
type Exec struct {
	ID      string
	Process []byte
	TTY     bool
}

// Attend has a program watch files beside the containers as long as the pod is there, in place of the one before, unless that
// has the same key; nil ends it. It is started again when it is killed, and when the supervisor is. What it writes goes to a
// log in LogDir.
type Attend struct {
	Watcher *pod.Watcher
	LogDir  string
}

// Begun is what the program of Attend says, on descriptor 3, once it watches; anything else it says there is why it cannot. It
// ends when the other end is closed.
const Begun = "begun"

// Point of a container's life at which a hook runs.
type Point string

const (
	PostStart Point = "post_start"
	PreStop   Point = "pre_stop"
)

// Hook runs a hook in a container. What it writes goes to the container's log.
type Hook struct {
	ID    string
	Point Point
	// Index is the hook's place among those of its point.
	Index   int
	Process []byte
	// Within bounds its time: then it is killed; 0 is no bound.
	Within time.Duration
}

// Reply answers a request.
type Reply struct {
	// Error is why it could not be done; "" when it was.
	Error string `json:",omitempty"`
	// Containers and Ports answer Status and Watch. Publish answers with Ports.
	Containers []Container `json:",omitempty"`
	Ports      []pod.Port  `json:",omitempty"`
	// Topology is the pod's network; Status has it.
	Topology pod.Topology `json:",omitzero"`
	// Watcher is the one of Attend; Status has it.
	Watcher *pod.WatcherStatus `json:",omitempty"`
	// PID is the supervisor's; Status has it.
	PID int `json:",omitempty"`
	// Gateway is the host as the pod sees it; Status has it.
	Gateway string `json:",omitempty"`
	// ExitCode answers Wait and the end of Exec; Exited marks that end.
	ExitCode int  `json:",omitempty"`
	Exited   bool `json:",omitempty"`
}

// Container is what a supervisor knows of a container.
type Container struct {
	ID  string
	Run pod.Run
}
