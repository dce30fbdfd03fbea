package build

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/moby/sys/mountinfo"
	"github.com/pcompose/pcompose/pod/runtime"
	"go.podman.io/storage"
	"go.podman.io/storage/pkg/unshare"
	"golang.org/x/sys/unix"
)

// workshop is what a builder has on disk for itself: a folder on disk for large files, one on a tmpfs for the rest, and a lock,
// held while the builder lives, by which others know that it does.
type workshop struct {
	id        string
	disk, run string
	lock      *os.File
}

// suffix is in the names of the containers that a builder has in the store.
func suffix(id string) string { return "pcompose-" + id }

// folders are where builders have their folders.
func folders(cfg Config) (disk, run string) {
	return filepath.Join(cfg.Root, "builds"), filepath.Join(cfg.RunRoot, ".builds")
}

// openWorkshop makes a workshop. buildah puts its mounts and bundles where TMPDIR says, and offers no other way: the process
// is told a place of its own, which can be found again when it was killed.
func openWorkshop(cfg Config) (*workshop, error) {
	random := make([]byte, 6)
	rand.Read(random) // never fails (crypto/rand)
	disk, run := folders(cfg)
	w := &workshop{id: hex.EncodeToString(random)}
	w.disk, w.run = filepath.Join(disk, w.id), filepath.Join(run, w.id)
	// First the lock: a folder on disk without one is nobody's.
	if err := os.MkdirAll(w.run, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make a folder to build in: %w", err)
	}
	var err error
	if w.lock, err = lock(filepath.Join(w.run, "lock")); err == nil {
		err = os.MkdirAll(w.tmp(), 0o700)
	}
	if err == nil {
		err = w.keepCaches(filepath.Join(cfg.Root, "build-cache"))
	}
	if err == nil {
		// The path of an SSH agent's socket in it must be short: unix(7) has 107 bytes for one, and Root may be anywhere.
		err = os.Symlink(w.tmp(), filepath.Join(w.run, "t"))
	}
	if err == nil {
		err = os.Setenv("TMPDIR", filepath.Join(w.run, "t"))
	}
	if err != nil {
		return nil, fmt.Errorf("cannot make a folder to build in: %w", err)
	}
	return w, nil
}

// keepCaches has what RUN --mount=type=cache keeps in a folder that outlives the builder, where buildah would have it in TMPDIR
// (internal/volumes/volumes.go: CacheParent).
func (w *workshop) keepCaches(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.Symlink(dir, filepath.Join(w.tmp(), "buildah-cache-"+strconv.Itoa(unshare.GetRootlessUID())))
}

func (w *workshop) tmp() string { return filepath.Join(w.disk, "tmp") }

// folder is a new one on the tmpfs, for the secrets of one build.
func (w *workshop) folder() (string, error) { return os.MkdirTemp(w.run, "build-") }

func (w *workshop) close() error {
	return errors.Join(os.RemoveAll(w.disk), os.RemoveAll(w.run), w.lock.Close())
}

// lock takes a file's lock, or says that another has it: EWOULDBLOCK.
func lock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) // close-on-exec, as all of os
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// sweep removes what builders left that were killed: running containers first, then their roots in the store, mounts, files.
// It is idempotent, and costs two readings of folders where nothing was left.
func sweep(cfg Config) error {
	disk, run := folders(cfg)
	left := map[string]bool{}
	for _, id := range append(names(disk), names(run)...) {
		left[id] = true
	}
	var errs []error
	for _, id := range sorted(left) {
		if err := sweepOne(cfg, filepath.Join(disk, id), filepath.Join(run, id), id); err != nil {
			errs = append(errs, fmt.Errorf("cannot remove what a killed build left: %w", err))
		}
	}
	return errors.Join(errs...)
}

func sweepOne(cfg Config, disk, run, id string) error {
	held, err := lock(filepath.Join(run, "lock"))
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		return nil // it lives
	case err == nil:
		defer held.Close()
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	for _, build := range names(run) {
		eachContainer(cfg.Runtime, runtimeDir(filepath.Join(run, build)), func(program *runtime.Program, id string) {
			_ = program.Delete(context.Background(), id, true)
		})
	}
	if err := dropContainers(cfg.Store, id); err != nil {
		return err
	}
	if err := unmountBelow(disk, run); err != nil {
		return err
	}
	return errors.Join(os.RemoveAll(disk), os.RemoveAll(run))
}

// dropContainers removes a builder's containers from the store.
func dropContainers(store storage.Store, id string) error {
	containers, err := store.Containers()
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range containers {
		for _, name := range c.Names {
			if !strings.Contains(name, suffix(id)) {
				continue
			}
			// Mounted or not: a mount that is none is an error that says nothing.
			_, _ = store.Unmount(c.ID, true)
			if err := store.DeleteContainer(c.ID); err != nil && !errors.Is(err, storage.ErrContainerUnknown) {
				errs = append(errs, err)
			}
			break
		}
	}
	return errors.Join(errs...)
}

// unmountBelow detaches what is mounted below folders, the last first.
func unmountBelow(dirs ...string) error {
	mounts, err := mountinfo.GetMounts(func(m *mountinfo.Info) (skip, stop bool) {
		for _, dir := range dirs {
			if strings.HasPrefix(m.Mountpoint, dir+"/") {
				return false, false
			}
		}
		return true, false
	})
	if err != nil {
		return err
	}
	for i := len(mounts) - 1; i >= 0; i-- {
		if err := unix.Unmount(mounts[i].Mountpoint, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("cannot unmount %q: %w", mounts[i].Mountpoint, err)
		}
	}
	return nil
}

// Sweep removes what builds left that were killed, and what is known of images that are gone.
func (b *Builder) Sweep(context.Context) error {
	return errors.Join(sweep(b.cfg), sweepReceipts(b.cfg))
}
