// Package runtime is containers as an OCI runtime program sees them: created from a bundle, started, signalled,
// entered, deleted.
//
// The interface mirrors the operations of the runtime specification (opencontainers/runtime-spec, runtime.md);
// Program drives crun, runc, youki, or any program with runc's command line. A container's first process is never a
// child of the program that made it, nor of the caller: it belongs to the nearest subreaper (prctl(2)
// PR_SET_CHILD_SUBREAPER), who reaps it and so learns its exit code. Nothing here waits for it. The subreaper must reap
// strangers too (wait4(-1)): a killed exec leaves zombies of the runtime's helpers inside the container's PID namespace,
// and until they are reaped the container's first process cannot die (pid_namespaces(7)).
package runtime

import (
	"context"
	"errors"
	"os"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Runtime makes and ends containers. Every method is safe for concurrent use, on one container as well; a cancelled
// context kills the runtime program at work, never the container. What a killed or failed Create leaves behind is
// removed by Delete with force.
type Runtime interface {
	// Create makes the container of a bundle, its first process waiting for Start. ErrExists if the id is taken; a
	// *CommandError in the chain when its command cannot be run. After any other error call Delete with force.
	Create(ctx context.Context, o CreateOptions) (Created, error)
	// Start lets the first process run its command. Not idempotent: a second Start is an error.
	Start(ctx context.Context, id string) error
	// Kill sends a signal to the first process, or with all to every process of the container.
	// ErrNotRunning when the first process has ended.
	Kill(ctx context.Context, id string, sig unix.Signal, all bool) error
	// Delete removes what the runtime holds of a container; with force it kills what runs first. Idempotent: a
	// container that does not exist is deleted. The bundle stays.
	Delete(ctx context.Context, id string, force bool) error
	// State is what the runtime knows of a container; ErrNotFound if nothing.
	State(ctx context.Context, id string) (State, error)
	// Exec runs a further process in a running container, attached: see Process. An error here means that the runtime
	// program could not be run; that the command could not be is known at Process.Wait.
	Exec(ctx context.Context, o ExecOptions) (*Process, error)
	// Pause freezes all processes of a container, Resume thaws them. Pausing a paused container is an error.
	Pause(ctx context.Context, id string) error
	Resume(ctx context.Context, id string) error
}

// Sentinels that callers branch on.
var (
	ErrNotFound   = errors.New("no such container")
	ErrExists     = errors.New("a container of this name exists")
	ErrNotRunning = errors.New("not running")
)

// CreateOptions say what to create.
type CreateOptions struct {
	// ID is the container's name for the runtime, unique below its root.
	ID string
	// Bundle is a directory with config.json; the root file system may lie anywhere (root.path).
	Bundle string
	// PIDFile, where not "", gets the first process's pid before Create returns, for whoever comes after a crash.
	PIDFile string
	// Stdin, Stdout and Stderr become the container's own, nil is /dev/null. With TTY they are not used. The runtime
	// program shares them while it works: when it fails it writes its message there too (both crun and runc do), so
	// drop what came out of a container whose Create failed.
	Stdin, Stdout, Stderr *os.File
	// Filter, where not "", is a file that gets the system call filter as the runtime compiled it, see FilterAnnotation.
	Filter string
	// TTY must be true exactly when process.terminal is in config.json.
	TTY bool
}

// Created is a container that waits for Start.
type Created struct {
	// PID of its first process in the caller's PID namespace.
	PID int
	// Console is the master side of its terminal, owned by the caller; nil without TTY.
	Console *os.File
}

// ExecOptions say what to run in a container.
type ExecOptions struct {
	ID string
	// Process is the whole process: nothing is taken from the container's. With Process.Terminal the streams below are
	// not used and Process.Console is the terminal.
	Process *specs.Process
	// Stdin, Stdout and Stderr become the process's own, nil is /dev/null. The caller keeps and closes them.
	Stdin, Stdout, Stderr *os.File
}

// Status is the runtime specification's word for what a container does.
type Status string

// The statuses of the runtime specification, and paused, which crun and runc add. Waiting is a created container.
const (
	Creating Status = "creating"
	Waiting  Status = "created"
	Running  Status = "running"
	Paused   Status = "paused"
	Stopped  Status = "stopped"
)

// State is what a runtime knows of a container.
type State struct {
	ID     string `json:"id"`
	Status Status `json:"status"`
	// PID is 0 once it stopped.
	PID    int    `json:"pid"`
	Bundle string `json:"bundle"`
}

// CommandError says that a container's or an exec's command could not be run; everything around it was fine.
type CommandError struct {
	// Code is what a shell exits with: 127 when the command is not there, 126 when it cannot be run.
	Code int
	// Message reads `exec: "nosuch": executable file not found in $PATH`.
	Message string
}

// Error is the message.
func (e *CommandError) Error() string { return e.Message }
