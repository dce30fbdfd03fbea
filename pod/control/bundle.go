package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/pcompose/pcompose/pod"
)

// Pod is what a supervisor must know of its pod: pod.json in the run directory, written before it is started.
type Pod struct {
	Name string
	// ID names what is made for the pod on the host: links, rules, cgroups.
	ID       string
	Topology pod.Topology
	// Runtime is the OCI runtime's program, RuntimeKind which one it is.
	Runtime, RuntimeKind string
	// LockFile is locked while an address is chosen, for all pods of the machine.
	LockFile string
	// Hubs is the directory where pods meet on shared networks.
	Hubs string
	// Outlet is how the pod reaches the world outside.
	Outlet pod.Outlet `json:",omitzero"`
	// Cgroup is the parent of the containers' cgroups, "" where this user can make none.
	Cgroup string
	// Events is the file of what happens to containers; "" keeps none.
	Events string `json:",omitempty"`
}

// Bundle is what a supervisor must know of a container beside its runtime-spec: bundle.json next to config.json.
type Bundle struct {
	ID string
	// Boot is the boot it was made in (WriteBundle fills it in): its mounts are gone with that.
	Boot string
	// Container has what the image says filled in: health check, stop signal.
	Container pod.Container
	LogDir    string
	// UID and GID are its user's on the host: its output pipes belong to it, so that it can open /dev/stdout.
	UID, GID int
	// Runtime is the OCI runtime's program, RuntimeKind which one it is, where the container does not have the pod's.
	Runtime     string `json:",omitempty"`
	RuntimeKind string `json:",omitempty"`
	// Cgroup is the container's cgroup, below every controller's hierarchy in cgroup v1.
	Cgroup string
	// Filter is where the compiled system call filter is kept for the next container; "" for nowhere.
	Filter string `json:",omitempty"`
	// Probe is the health check's process, nil for none.
	Probe *specs.Process `json:",omitempty"`
}

const (
	podFile    = "pod.json"
	bundleFile = "bundle.json"
	attendFile = "watcher.json"
)

// ShmDir is the directory of a bundle that is /dev/shm of a container whose IPC namespace others may join.
const ShmDir = "shm"

// WritePod and ReadPod write and read pod.json in a run directory.
func WritePod(dir string, p Pod) error { return write(filepath.Join(dir, podFile), p) }

// ReadPod reads pod.json; fs.ErrNotExist where there is none.
func ReadPod(dir string) (Pod, error) {
	var p Pod
	return p, read(filepath.Join(dir, podFile), &p)
}

// WriteAttend and ReadAttend write and read watcher.json, what runs beside the containers; RemoveAttend removes it.
func WriteAttend(dir string, a Attend) error { return write(filepath.Join(dir, attendFile), a) }

// ReadAttend reads watcher.json; fs.ErrNotExist where there is none.
func ReadAttend(dir string) (Attend, error) {
	var a Attend
	return a, read(filepath.Join(dir, attendFile), &a)
}

// RemoveAttend removes watcher.json. Idempotent.
func RemoveAttend(dir string) error { return removed(filepath.Join(dir, attendFile)) }

// WriteBundle and ReadBundle write and read bundle.json in a bundle's directory.
func WriteBundle(dir string, b Bundle) error {
	var err error
	if b.Boot, err = bootID(); err != nil {
		return err
	}
	return write(filepath.Join(dir, bundleFile), b)
}

// ReadBundle reads bundle.json; fs.ErrNotExist where there is none, or only one of an earlier boot: run directories are
// not on a tmpfs everywhere.
func ReadBundle(dir string) (Bundle, error) {
	var b Bundle
	boot, err := bootID()
	if err != nil {
		return b, err
	}
	if err := read(filepath.Join(dir, bundleFile), &b); err != nil {
		return b, err
	}
	if b.Boot != boot {
		return Bundle{}, fmt.Errorf("bundle in %s is of an earlier boot: %w", dir, fs.ErrNotExist)
	}
	return b, nil
}

// bootID names this boot (proc_sys_kernel(5), random/boot_id).
func bootID() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b)), err
}

// write replaces a file at once. It is not synced: run directories do not outlive a reboot.
func write(path string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	tmp := path + ".new"
	err = os.WriteFile(tmp, b, 0o600)
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("cannot write %s: %w", path, err), removed(tmp))
	}
	return nil
}

func removed(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func read(path string, v any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("cannot read %s: %w", path, err)
	}
	return nil
}

// WriteRun and ReadRun write and read run.json, what a supervisor remembers of a container's run. Only the
// supervisor writes it; anybody may read it when no supervisor lives.
func WriteRun(dir string, r Run) error { return write(filepath.Join(dir, "run.json"), r) }

// ReadRun reads run.json; fs.ErrNotExist for a container that was never started.
func ReadRun(dir string) (Run, error) {
	var r Run
	return r, read(filepath.Join(dir, "run.json"), &r)
}
