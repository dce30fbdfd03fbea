package volume

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	// fewFiles is how many files are fsynced one by one.
	fewFiles = 32
	// maxDepth of directories bounds the descriptors held open, two for each level.
	maxDepth = 500
)

// copier copies a tree from descriptor to descriptor: every name is opened relative to its directory without following
// links, so that neither side can lead it elsewhere, even while a container writes there.
type copier struct {
	ctx   context.Context
	files int
}

// dir copies the entries of a directory, then what the directory itself is.
func (c *copier) dir(from, to *os.File, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("directories are more than %d deep", maxDepth)
	}
	names, err := from.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		if err := c.entry(from, to, name, depth); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return likewise(from, to)
}

// entry copies one name. What is neither directory, file nor symbolic link is left out.
func (c *copier) entry(from, to *os.File, name string, depth int) error {
	var stat unix.Stat_t
	if err := unix.Fstatat(int(from.Fd()), name, &stat, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	switch stat.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		if err := unix.Mkdirat(int(to.Fd()), name, 0o700); err != nil && !errors.Is(err, unix.EEXIST) {
			return err
		}
		return both(from, to, name, unix.O_RDONLY|unix.O_DIRECTORY, func(from, to *os.File) error {
			return c.dir(from, to, depth+1)
		})
	case unix.S_IFREG:
		return both(from, to, name, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC, c.file)
	case unix.S_IFLNK:
		return link(from, to, name, &stat)
	}
	return nil
}

// both opens a name on either side, the target as told.
func both(from, to *os.File, name string, flags int, do func(from, to *os.File) error) error {
	// O_NONBLOCK: should the name be a FIFO by now, opening it must not wait.
	source, err := openAt(from, name, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := openAt(to, name, flags|unix.O_NONBLOCK)
	if err != nil {
		return err
	}
	return errors.Join(do(source, target), target.Close())
}

func openAt(dir *os.File, name string, flags int) (*os.File, error) {
	fd, err := unix.Openat(int(dir.Fd()), name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// file copies the content of a regular file.
func (c *copier) file(from, to *os.File) error {
	for _, f := range []*os.File{from, to} {
		if stat, err := f.Stat(); err != nil || !stat.Mode().IsRegular() {
			return errors.Join(err, errors.New("it is no longer a regular file"))
		}
	}
	if _, err := io.Copy(to, from); err != nil {
		return err
	}
	if err := likewise(from, to); err != nil {
		return err
	}
	if c.files++; c.files <= fewFiles {
		return to.Sync()
	}
	return nil
}

// link copies a symbolic link, whatever it points to.
func link(from, to *os.File, name string, stat *unix.Stat_t) error {
	target := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(int(from.Fd()), name, target)
	if err != nil {
		return err
	}
	err = unix.Symlinkat(string(target[:n]), int(to.Fd()), name)
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	if err := unix.Fchownat(int(to.Fd()), name, int(stat.Uid), int(stat.Gid), unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	return unix.UtimesNanoAt(int(to.Fd()), name, []unix.Timespec{stat.Atim, stat.Mtim}, unix.AT_SYMLINK_NOFOLLOW)
}

// likewise gives a file or directory the owner, extended attributes, mode and times of another.
func likewise(from, to *os.File) error {
	var stat unix.Stat_t
	if err := unix.Fstat(int(from.Fd()), &stat); err != nil {
		return err
	}
	// The owner comes first: chown(2) clears set-user-ID bits and capabilities.
	if err := unix.Fchown(int(to.Fd()), int(stat.Uid), int(stat.Gid)); err != nil {
		return err
	}
	if err := attributes(from, to); err != nil {
		return err
	}
	if err := unix.Fchmod(int(to.Fd()), stat.Mode&0o7777); err != nil {
		return err
	}
	times := []unix.Timespec{stat.Atim, stat.Mtim}
	return unix.UtimesNanoAt(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", to.Fd()), times, 0)
}

// attributes copies extended attributes. A file system that has none, or not those (tmpfs, nfs), goes without.
func attributes(from, to *os.File) error {
	size, err := unix.Flistxattr(int(from.Fd()), nil)
	if err != nil || size == 0 {
		return ignoreUnsupported(err)
	}
	list := make([]byte, size)
	// What overlayfs keeps for itself counts in the size, and is not in the list.
	if size, err = unix.Flistxattr(int(from.Fd()), list); err != nil || size == 0 {
		return err
	}
	for name := range bytes.SplitSeq(bytes.TrimSuffix(list[:size], []byte{0}), []byte{0}) {
		// overlayfs' own, and labels, which belong to the place and not to the content.
		if attr := string(name); strings.HasPrefix(attr, "trusted.overlay.") || attr == "security.selinux" {
			continue
		}
		value := make([]byte, 64<<10) // the kernel's bound, XATTR_SIZE_MAX
		n, err := unix.Fgetxattr(int(from.Fd()), string(name), value)
		if err != nil {
			return err
		}
		if err := unix.Fsetxattr(int(to.Fd()), string(name), value[:n], 0); ignoreUnsupported(err) != nil {
			return fmt.Errorf("extended attribute %s: %w", name, err)
		}
	}
	return nil
}

func ignoreUnsupported(err error) error {
	if errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	return err
}
