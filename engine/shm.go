package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/control"
	"golang.org/x/sys/unix"
)

// defaultShm is the size of /dev/shm in bytes where the file says none.
const defaultShm = 64 << 20

// shm mounts what containers that share an IPC namespace see at /dev/shm: one inside could not be shown to others.
// "" where the container's namespace is not shareable. Idempotent.
func (b *bundle) shm() (string, error) {
	c := b.record.Container
	if c.Isolation.IPC != pod.NamespaceShareable {
		return "", nil
	}
	dir := filepath.Join(b.dir, control.ShmDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err == nil && st.Type == unix.TMPFS_MAGIC && mounted(dir) {
		return dir, nil
	}
	size := c.ShmSize
	if size == 0 {
		size = defaultShm
	}
	err := unix.Mount("shm", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, fmt.Sprintf("mode=1777,size=%d", size))
	if err != nil {
		return "", fmt.Errorf("cannot mount %s: %w", dir, err)
	}
	return dir, nil
}

// mounted says whether a directory is the root of a mount: it is on another device than its parent.
func mounted(dir string) bool {
	var own, parent unix.Stat_t
	return unix.Stat(dir, &own) == nil && unix.Stat(filepath.Dir(dir), &parent) == nil && own.Dev != parent.Dev
}

// unmountShm undoes shm. Idempotent.
func unmountShm(bundle string) error {
	dir := filepath.Join(bundle, control.ShmDir)
	err := unix.Unmount(dir, unix.MNT_DETACH)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot unmount %s: %w", dir, err)
	}
	return nil
}
