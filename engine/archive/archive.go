// Package archive packs trees of files as tar streams and unpacks them.
//
// Neither ever leaves the directory it was given, whatever links the tree or the stream holds and whoever changes the
// tree meanwhile: everything is done below an os.Root, which walks from descriptor to descriptor (openat(2)), takes no
// link out of it, and opens nothing that blocks.
package archive

import (
	"archive/tar"
	"errors"
	"fmt"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// capability is the one extended attribute that is carried, as docker does: what a program may do, by its file
// (capabilities(7)). Its key in a tar stream is GNU tar's.
const (
	capability    = "security.capability"
	capabilityKey = "SCHILY.xattr." + capability
)

// maxCapability bounds it in bytes; the kernel's largest is 24 (vfs_ns_cap_data).
const maxCapability = 64

// fill gives a header what an open file says beside its mode: a program's capabilities.
func fill(h *tar.Header, f *os.File) {
	value := make([]byte, maxCapability)
	n, err := unix.Fgetxattr(int(f.Fd()), capability, value)
	if err == nil { // else it has none, or its file system has none at all
		h.PAXRecords = map[string]string{capabilityKey: string(value[:n])}
	}
}

// in runs f with the open directory that a name is in and its last part, for system calls os.Root has not.
func in(root *os.Root, name string, f func(dir int, base string) error) error {
	dir, err := root.OpenFile(path.Dir(name), os.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer dir.Close()
	return f(int(dir.Fd()), path.Base(name))
}

// cannot wraps an error with what was done to which name. What failed reads "openat name: cause" below, with the name
// once more.
func cannot(verb, name string, err error) error {
	var at *os.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	var link *os.LinkError
	if errors.As(err, &link) {
		err = link.Err
	}
	return fmt.Errorf("cannot %s %q: %w", verb, name, err)
}
