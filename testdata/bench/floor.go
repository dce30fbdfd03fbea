package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// floor is the least anybody can need: an OCI runtime called once a container, on bundles and mounts made before.
type floor struct {
	dir, runtime string
	mounted      []string
}

// newFloor prepares n bundles, each with an overlay mount of its own.
func newFloor(dir string, n int) (*floor, error) {
	f := &floor{dir: filepath.Join(dir, "floor")}
	for _, name := range []string{"crun", "runc"} {
		if path, err := exec.LookPath(name); err == nil {
			f.runtime = path
			break
		}
	}
	if f.runtime == "" {
		return nil, errors.New("neither crun nor runc is installed")
	}
	lower := filepath.Join(f.dir, "lower")
	if err := os.MkdirAll(lower, 0o755); err != nil {
		return nil, err
	}
	image, err := tarball.ImageFromPath(imageFile(dir), nil)
	if err != nil {
		return nil, err
	}
	content := mutate.Extract(image)
	defer content.Close()
	untar := exec.Command("tar", "-x", "-C", lower)
	untar.Stdin, untar.Stderr = content, os.Stderr
	if err := untar.Run(); err != nil {
		return nil, err
	}
	for i := range n {
		if err := f.bundle(i, lower); err != nil {
			f.close()
			return nil, err
		}
	}
	return f, nil
}

func (f *floor) bundle(i int, lower string) error {
	bundle := f.path(i)
	root := filepath.Join(bundle, "rootfs")
	upper, work := filepath.Join(bundle, "upper"), filepath.Join(bundle, "work")
	for _, dir := range []string{root, upper, work} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	config, err := json.Marshal(spec(i))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(bundle, "config.json"), config, 0o644); err != nil {
		return err
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", lower, upper, work)
	if err := unix.Mount("overlay", root, "overlay", 0, options); err != nil {
		return fmt.Errorf("cannot mount %s: %w", root, err)
	}
	f.mounted = append(f.mounted, root)
	return nil
}

// spec is a container as engines make it, short of what costs nothing: namespaces, the usual mounts, a cgroup.
// The network is shared, as in a pod.
func spec(i int) specs.Spec {
	return specs.Spec{
		// Older runtimes refuse specifications that are newer than they are.
		Version:  "1.0.2",
		Root:     &specs.Root{Path: "rootfs"},
		Hostname: "floor",
		Process: &specs.Process{
			Args: []string{"/bin/sleep", "infinity"}, Cwd: "/", NoNewPrivileges: true,
			Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		},
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc"},
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "mode=755", "size=65536k"}},
			{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}},
			{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}},
			{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}},
			{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", "ro"}},
		},
		Linux: &specs.Linux{
			CgroupsPath: fmt.Sprintf("/pct-floor/%d", i),
			Namespaces: []specs.LinuxNamespace{
				{Type: specs.PIDNamespace}, {Type: specs.MountNamespace}, {Type: specs.IPCNamespace},
				{Type: specs.UTSNamespace},
			},
		},
	}
}

func (f *floor) path(i int) string { return filepath.Join(f.dir, fmt.Sprint(i)) }

// run starts n containers, returns how long that took, and removes them.
func (f *floor) run(n int) (time.Duration, error) {
	started := time.Now()
	err := f.each(n, func(i int) error {
		return f.call("run", "--detach", "--bundle", f.path(i), fmt.Sprintf("pct-floor-%d", i))
	})
	took := time.Since(started)
	return took, errors.Join(err, f.each(n, func(i int) error {
		return f.call("delete", "--force", fmt.Sprintf("pct-floor-%d", i))
	}))
}

// call runs the runtime with its state in a place of its own. Standard streams are /dev/null.
func (f *floor) call(args ...string) error {
	log := filepath.Join(f.dir, "log")
	cmd := exec.Command(f.runtime, append([]string{"--root", filepath.Join(f.dir, "run"), "--log", log}, args...)...)
	if err := cmd.Run(); err != nil {
		said, _ := os.ReadFile(log)
		return fmt.Errorf("%s %v: %w: %s", f.runtime, args, err, said)
	}
	return nil
}

// each calls do for 0 to n-1, as many at a time as keep the machine busy.
func (f *floor) each(n int, do func(int) error) error {
	var wait sync.WaitGroup
	errs := make([]error, n)
	places := make(chan struct{}, 2*runtime.NumCPU())
	for i := range n {
		places <- struct{}{}
		wait.Go(func() {
			errs[i] = do(i)
			<-places
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

func (f *floor) close() {
	for _, root := range f.mounted {
		if err := unix.Unmount(root, unix.MNT_DETACH); err != nil {
			fmt.Fprintf(os.Stderr, "bench: cannot unmount %s: %v\n", root, err)
		}
	}
	// The runtime removed its containers' cgroups, but not the one above them.
	above, _ := filepath.Glob("/sys/fs/cgroup/*/pct-floor")
	for _, dir := range append(above, "/sys/fs/cgroup/pct-floor") {
		_ = os.Remove(dir)
	}
}
