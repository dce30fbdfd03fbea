package volume

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	pathrs "github.com/cyphar/filepath-securejoin/pathrs-lite"
	sysmount "go.podman.io/storage/pkg/mount"
	"golang.org/x/sys/unix"
)

// Mount makes a volume's content available and gives its path. A volume without a type or device is there already; of
// others (tmpfs, nfs, a bind of a host directory, as mount(8) has type, o and device) the file system is mounted.
// Idempotent, and not counted: one Unmount undoes it.
func (s *Store) Mount(name string) (string, error) {
	v, err := s.Inspect(name)
	if err != nil {
		return "", err
	}
	if !mounts(v.Options) {
		return v.Path, nil
	}
	unlock, err := lock(s.dir(name))
	if err != nil {
		return "", fmt.Errorf("cannot mount volume %q: %w", name, err)
	}
	defer unlock()
	if mounted, err := sysmount.Mounted(v.Path); err != nil || mounted {
		return v.Path, err
	}
	if err := mount(v.Options, v.Path); err != nil {
		return "", fmt.Errorf("cannot mount volume %q: %w", name, err)
	}
	return v.Path, nil
}

// mounts says whether a volume with those options is a file system of its own.
func mounts(options map[string]string) bool {
	return options["type"] != "" || options["device"] != ""
}

func mount(options map[string]string, target string) error {
	typ, device, o := options["type"], options["device"], options["o"]
	switch {
	case typ == "tmpfs":
		device = "tmpfs"
	case slices.ContainsFunc(strings.Split(o, ","), func(o string) bool { return o == "bind" || o == "rbind" }):
		if _, err := os.Stat(device); err != nil {
			return fmt.Errorf("device %q does not exist", device)
		}
		typ = ""
	case typ == "none" || typ == "":
		return fmt.Errorf("device %q has no type, and its options do not say bind", device)
	}
	o, err := withAddress(typ, device, o)
	if err != nil {
		return err
	}
	if err := sysmount.ForceMount(device, target, typ, o); err != nil {
		// The error has the options in it, and those may hold a password: only the reason goes on.
		var errno unix.Errno
		if errors.As(err, &errno) {
			return fmt.Errorf("cannot mount device %q of type %q: %w", device, typ, errno)
		}
		return fmt.Errorf("cannot mount device %q of type %q", device, typ)
	}
	return nil
}

// Unmount undoes Mount; nil means "nothing is mounted". Containers that run keep what they have mounted.
func (s *Store) Unmount(name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	if err := unmount(s.path(name)); err != nil {
		return fmt.Errorf("cannot unmount volume %q: %w", name, err)
	}
	return nil
}

// unmount takes every mount off a path. It asks first: without privilege umount(2) fails where there is nothing to do.
func unmount(path string) error {
	for {
		mounted, err := sysmount.Mounted(path)
		if errors.Is(err, os.ErrNotExist) || (err == nil && !mounted) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := unix.Unmount(path, unix.UMOUNT_NOFOLLOW); err != nil {
			return err
		}
	}
}

// BindSubpath mounts a directory or file below root, a mounted volume or image, at a directory or file of the host
// that only the engine writes to. Symbolic links of root's content stay inside, and a container that swaps directories
// meanwhile changes nothing: what was found is mounted, not its path. Idempotent; Unbind undoes it.
func BindSubpath(root, subpath, at string) error {
	if mounted, err := sysmount.Mounted(at); err == nil && mounted {
		return nil
	}
	found, err := pathrs.OpenInRoot(root, subpath)
	if errors.Is(err, os.ErrNotExist) {
		return errors.New("it does not exist there")
	}
	if err != nil {
		return err
	}
	defer found.Close()
	stat, err := found.Stat()
	if err != nil {
		return err
	}
	if stat.IsDir() {
		err = os.MkdirAll(at, 0o700)
	} else {
		var f *os.File
		if f, err = os.OpenFile(at, os.O_CREATE|os.O_RDONLY, 0o600); err == nil {
			err = f.Close()
		}
	}
	if err != nil {
		return err
	}
	return unix.Mount(fmt.Sprintf("/proc/self/fd/%d", found.Fd()), at, "", unix.MS_BIND|unix.MS_REC, "")
}

// Unbind undoes BindSubpath and removes the mount point; nil means "it is gone".
func Unbind(at string) error {
	if err := unmount(at); err != nil {
		return fmt.Errorf("cannot unmount %q: %w", at, err)
	}
	if err := os.Remove(at); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
