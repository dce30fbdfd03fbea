package pod

import "time"

// TriggerAction is what becomes of a change on the host.
type TriggerAction string

// The actions of the Compose specification.
const (
	// TriggerSync brings the files into the containers; the next two do too.
	TriggerSync        TriggerAction = "sync"
	TriggerSyncRestart TriggerAction = "sync+restart"
	TriggerSyncExec    TriggerAction = "sync+exec"
	TriggerRestart     TriggerAction = "restart"
	// TriggerRebuild builds the image and makes the containers anew.
	TriggerRebuild TriggerAction = "rebuild"
)

// Syncs says whether the action begins with a sync.
func (a TriggerAction) Syncs() bool {
	return a == TriggerSync || a == TriggerSyncRestart || a == TriggerSyncExec
}

// Trigger says what becomes of changes of files on the host.
type Trigger struct {
	Service string
	// Index is its place among those of its service.
	Index int
	// Path is a file or directory of the host, absolute.
	Path string
	// Dir says that Path is a directory: what becomes of itself is no change then, what becomes of what is in it is.
	Dir    bool
	Action TriggerAction
	// Target is where Path is in the containers, absolute; "" for an action that does not sync. One that ends with a slash is
	// the directory for a file.
	Target string
	// Ignore and Include are patterns as of a .dockerignore file, below Path. Nothing in Include is everything.
	Ignore, Include []string
	// Context is the directory of the service's build, whose .dockerignore counts too; "" for none. Dockerfile, below it, may
	// have one of its own.
	Context, Dockerfile string
	// InitialSync syncs all there is before the first change.
	InitialSync bool
	// Exec is what TriggerSyncExec runs in the containers.
	Exec Hook
}

// WatchLog is the name by which the log of a Watcher is asked for; no container has it.
const WatchLog = "watch"

// Watcher is the program that watches files for a pod in the background: pcompose itself, by the supervisor's side.
type Watcher struct {
	// Argv, Env and Dir are its arguments, environment and working directory.
	Argv, Env []string
	Dir       string
	// Services are those it was asked for; none are all.
	Services []string
	// Key tells two apart that are started alike: what they do is not the same.
	Key string
	// Since is from when on changes count.
	Since time.Time
}

// WatcherStatus is a Watcher that runs.
type WatcherStatus struct {
	Services []string `json:",omitempty"`
	Key      string   `json:",omitempty"`
	// PID is in the supervisor's PID namespace; 0 for the moment between two.
	PID int `json:",omitempty"`
}
