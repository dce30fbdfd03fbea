package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	goruntime "runtime"

	pathrs "github.com/cyphar/filepath-securejoin/pathrs-lite"
	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/pcompose/pcompose/engine/rootfs"
	"github.com/pcompose/pcompose/engine/state"
	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/control"
	"github.com/pcompose/pcompose/pod/keeper"
	"golang.org/x/sys/unix"
)

// containerTree is a container's file system as its processes see it, volumes and bind mounts included. No path leads
// out of it: all are resolved by openat2(2) with RESOLVE_IN_ROOT, whatever the container's processes change meanwhile.
type containerTree struct {
	root *os.File
	// space is the mount namespace, which lives as long as somebody has it open.
	space *os.File
}

// open opens a directory as a process chrooted into the container finds it.
func (t *containerTree) open(dir string) (*os.Root, error) {
	handle, err := pathrs.OpenatInRoot(t.root, dir)
	if err != nil {
		return nil, err
	}
	defer handle.Close()
	return os.OpenRoot(fmt.Sprintf("/proc/self/fd/%d", handle.Fd()))
}

func (t *containerTree) close() {
	t.root.Close()
	t.space.Close()
}

// tree is a container's: that of its process where it runs or is paused, else one put together in a mount namespace of
// its own, which ends with this process at the latest: a SIGKILL leaves no mount.
func (f Files) tree(ctx context.Context, container string) (*containerTree, error) {
	p := f.project
	r, err := p.record(container)
	if err != nil {
		return nil, err
	}
	last, err := control.ReadRun(p.engine.state.BundleDir(p.name, r.ID))
	if err == nil && last.Run.PID != 0 {
		t, err := processTree(last.Run.PID, last.Start)
		if err == nil || !errors.Is(err, errEnded) {
			return t, err
		}
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	t, err := restingTree(ctx, p, r)
	if err != nil {
		return nil, fmt.Errorf("cannot open the file system of container %q: %w", container, err)
	}
	return t, nil
}

// errEnded says that a process is not there any more.
var errEnded = errors.New("the process has ended")

// processTree is what a process sees. That the start time is right after the files are open says that they are its own
// and no other's with the same number.
func processTree(pid int, start uint64) (*containerTree, error) {
	proc := fmt.Sprintf("/proc/%d/", pid)
	root, err := os.OpenFile(proc+"root", unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, errEnded
	}
	space, err := os.Open(proc + "ns/mnt")
	if err != nil {
		root.Close()
		return nil, errEnded
	}
	t := &containerTree{root, space}
	if now, err := keeper.StartTime(pid); err != nil || now != start {
		t.close()
		return nil, errEnded
	}
	return t, nil
}

// restingTree is what the container's process would see, but for tmpfs and /proc.
func restingTree(ctx context.Context, p *Project, r state.Record) (*containerTree, error) {
	roots, err := p.engine.roots()
	if err != nil {
		return nil, err
	}
	b := p.bundle(r)
	if b.root, err = roots.Mount(r.ID); err != nil { // as it was since its creation, unless the machine has booted
		return nil, err
	}
	mounts, err := b.restingMounts(ctx)
	if err != nil {
		return nil, err
	}
	type outcome struct {
		tree *containerTree
		err  error
	}
	end := make(chan outcome)
	go func() {
		// Never unlocked: the thread, which has another view of the machine, ends with the goroutine.
		goruntime.LockOSThread()
		t, err := assemble(b.root, mounts, r.Container.ReadOnly)
		end <- outcome{t, err}
	}()
	o := <-end
	return o.tree, o.err
}

// restingMount is a bind mount of a container that does not run.
type restingMount struct {
	source, target string
	readOnly       bool
}

// restingMounts are the container's bind mounts: those of its runtime-spec, or of its record where the machine has
// booted since.
func (b *bundle) restingMounts(ctx context.Context) ([]restingMount, error) {
	var list []restingMount
	text, err := os.ReadFile(filepath.Join(b.dir, "config.json"))
	if errors.Is(err, fs.ErrNotExist) {
		all, err := b.mounts(ctx)
		for _, m := range all {
			if m.Type != pod.MountTmpfs {
				list = append(list, restingMount{m.HostPath, m.Target, m.ReadOnly})
			}
		}
		return list, err
	}
	var spec specs.Spec
	if err == nil {
		err = json.Unmarshal(text, &spec)
	}
	for _, m := range spec.Mounts {
		bound, readOnly := false, false
		for _, o := range m.Options {
			bound = bound || o == "bind" || o == "rbind"
			readOnly = readOnly || o == "ro" || o == "rro"
		}
		if bound {
			list = append(list, restingMount{m.Source, m.Destination, readOnly})
		}
	}
	return list, err
}

// assemble mounts a container's file system in a mount namespace that only the calling thread has.
func assemble(path string, mounts []restingMount, readOnly bool) (*containerTree, error) {
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return nil, fmt.Errorf("cannot make a mount namespace: %w", err)
	}
	// Nothing that is mounted here may be seen outside; what is unmounted outside goes here too.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return nil, fmt.Errorf("cannot make a mount namespace: %w", err)
	}
	if err := unix.Mount(path, path, "", unix.MS_BIND, ""); err != nil {
		return nil, fmt.Errorf("cannot mount the root: %w", err)
	}
	root, err := os.OpenFile(path, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	space, err := os.Open("/proc/thread-self/ns/mnt")
	if err != nil {
		root.Close()
		return nil, err
	}
	t := &containerTree{root, space}
	for _, m := range mounts {
		if err := t.mount(path, m); err != nil {
			t.close()
			return nil, fmt.Errorf("cannot mount %s on %s: %w", m.source, m.target, err)
		}
	}
	if readOnly {
		err = unix.MountSetattr(int(root.Fd()), "", unix.AT_EMPTY_PATH, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
		if err != nil {
			t.close()
			return nil, fmt.Errorf("cannot make the root read-only: %w", err)
		}
	}
	return t, nil
}

// mount binds one of the mounts. Where it goes is made, as the OCI runtime would at the start; a file that is not there
// yet is left to it.
func (t *containerTree) mount(root string, m restingMount) error {
	st, err := os.Stat(m.source)
	if err != nil {
		return err
	}
	if st.IsDir() {
		if err := rootfs.EnsureDir(root, m.target, 0, 0); err != nil {
			return err
		}
	}
	target, err := pathrs.OpenatInRoot(t.root, m.target)
	if errors.Is(err, fs.ErrNotExist) && !st.IsDir() {
		return nil
	}
	if err != nil {
		return err
	}
	defer target.Close()
	if err := unix.Mount(m.source, fmt.Sprintf("/proc/thread-self/fd/%d", target.Fd()), "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return err
	}
	if !m.readOnly {
		return nil
	}
	mounted, err := pathrs.OpenatInRoot(t.root, m.target)
	if err != nil {
		return err
	}
	defer mounted.Close()
	// mount_setattr(2), Linux 5.12: the one call that reaches what is mounted below, too.
	return unix.MountSetattr(int(mounted.Fd()), "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
}
