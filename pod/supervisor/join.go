package supervisor

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/control"
	"github.com/pcompose/pcompose/pod/keeper"
	"golang.org/x/sys/unix"
)

// joined holds the namespaces that a container joins until it has been created.
type joined []*os.File

func (j joined) close() {
	for _, f := range j {
		f.Close()
	}
}

// join writes into the bundle's config.json which namespaces of other containers it joins: they are others after each
// start of those, so it is done before each of its own. Their files stay open till the runtime has joined them, and
// cannot come to mean those of a process that got a reused pid.
func join(dir string, b control.Bundle) (held joined, err error) {
	iso := b.Container.Isolation
	kinds := map[specs.LinuxNamespaceType]pod.Namespace{specs.PIDNamespace: iso.PID, specs.IPCNamespace: iso.IPC, specs.UTSNamespace: iso.UTS}
	paths, shm := map[specs.LinuxNamespaceType]string{}, ""
	defer func() {
		if err != nil {
			held.close()
		}
	}()
	for kind, in := range kinds {
		name, ok := in.Container()
		if !ok {
			continue
		}
		other, err := locate(dir, name)
		if err != nil {
			return held, fmt.Errorf("cannot join the %s namespace of container %q: %w", kind, name, err)
		}
		if kind == specs.IPCNamespace {
			if shm = filepath.Join(other, control.ShmDir); !isDir(shm) {
				return held, fmt.Errorf("cannot join the ipc namespace of container %q: it is its own: make it with ipc: shareable", name)
			}
		}
		file, err := namespaceOf(other, string(kind))
		if err != nil {
			return held, fmt.Errorf("cannot join the %s namespace of container %q: %w", kind, name, err)
		}
		held = append(held, file)
		paths[kind] = fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), file.Fd())
	}
	if len(held) == 0 {
		return nil, nil
	}
	return held, rewrite(filepath.Join(dir, "config.json"), paths, shm)
}

func isDir(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}

// locate finds the bundle of a container by its name or ID, of any pod below the same run directory; dir is the bundle of
// who looks.
func locate(dir, name string) (string, error) {
	files, err := filepath.Glob(filepath.Join(filepath.Dir(dir), "..", "..", "*", "containers", "*", "bundle.json"))
	if err != nil {
		return "", err
	}
	for _, file := range files {
		b, err := control.ReadBundle(filepath.Dir(file))
		if err != nil {
			continue // it is being made, or removed
		}
		if b.Container.Name == name || len(name) >= 12 && strings.HasPrefix(b.ID, name) {
			return filepath.Dir(file), nil
		}
	}
	return "", fmt.Errorf("there is no container of that name")
}

// namespaceOf opens a namespace of the container whose bundle is in dir. It must run.
func namespaceOf(dir, kind string) (*os.File, error) {
	run, err := control.ReadRun(dir)
	if err != nil || !run.Run.State.Alive() || run.Run.PID == 0 {
		return nil, fmt.Errorf("it is not running")
	}
	path := fmt.Sprintf("/proc/%d/ns/%s", run.Run.PID, kind)
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("it is not running")
	}
	file := os.NewFile(uintptr(fd), path)
	if start, err := keeper.StartTime(run.Run.PID); err != nil || start != run.Start {
		file.Close()
		return nil, fmt.Errorf("it is not running")
	}
	return file, nil
}

// rewrite sets the paths of namespaces, and the source of /dev/shm where it is another container's. Idempotent.
func rewrite(file string, paths map[specs.LinuxNamespaceType]string, shm string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var spec specs.Spec
	if err := json.Unmarshal(text, &spec); err != nil {
		return fmt.Errorf("cannot read %s: %w", file, err)
	}
	for i, n := range spec.Linux.Namespaces {
		if path := paths[n.Type]; path != "" {
			spec.Linux.Namespaces[i].Path = path
		}
	}
	for i, m := range spec.Mounts {
		if shm != "" && m.Destination == "/dev/shm" && m.Type == "bind" {
			spec.Mounts[i].Source = shm
		}
	}
	if text, err = json.Marshal(spec); err != nil {
		return err
	}
	if err := os.WriteFile(file+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}
