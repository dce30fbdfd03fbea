package rootfs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	pathrs "github.com/cyphar/filepath-securejoin/pathrs-lite"
	"golang.org/x/sys/unix"
)

// maxAccounts bounds /etc/passwd and /etc/group of an image in bytes: they are a stranger's files, read by root.
const maxAccounts = 4 << 20

// readInside reads a regular file of a root as a process chrooted there would find it: symbolic links stay inside
// (openat2(2) RESOLVE_IN_ROOT), and a FIFO or device is refused without being opened (CVE-2024-9676). A file that is
// missing is empty.
func readInside(root, name string) ([]byte, error) {
	handle, err := pathrs.OpenInRoot(root, name)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer handle.Close()
	stat, err := handle.Stat()
	if err != nil {
		return nil, err
	}
	if !stat.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file")
	}
	file, err := pathrs.Reopen(handle, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxAccounts+1))
	if err != nil {
		return nil, err
	}
	if len(content) > maxAccounts {
		return nil, fmt.Errorf("it is larger than %d bytes", maxAccounts)
	}
	return content, nil
}

// EnsureDir makes a directory of a mounted root, with its missing parents, as a process chrooted there would; nil means
// "it exists". What it makes belongs to uid and gid with mode 0755; what exists keeps owner and mode. A symbolic link
// never leads outside of the root (CVE-2026-55686), and one that leads nowhere is an error.
func EnsureDir(root, dir string, uid, gid int) error {
	if err := ensureDir(root, dir, uid, gid); err != nil {
		return fmt.Errorf("cannot make directory %q in the container: %w", dir, err)
	}
	return nil
}

func ensureDir(root, dir string, uid, gid int) error {
	base, err := os.OpenFile(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer base.Close()
	so := "/"
	for part := range strings.SplitSeq(strings.Trim(path.Clean("/"+dir), "/"), "/") {
		so = path.Join(so, part)
		if err := ensureOne(base, so, uid, gid); err != nil {
			return err
		}
	}
	return nil
}

// ensureOne makes one directory whose parent exists.
func ensureOne(base *os.File, dir string, uid, gid int) error {
	handle, err := pathrs.OpenatInRoot(base, dir)
	if err == nil {
		defer handle.Close()
		stat, err := handle.Stat()
		if err == nil && !stat.IsDir() {
			err = fmt.Errorf("%q is not a directory", dir)
		}
		return err
	}
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	made, err := pathrs.MkdirAllHandle(base, dir, 0o755)
	if err != nil {
		return err
	}
	defer made.Close()
	return unix.Fchownat(int(made.Fd()), "", uid, gid, unix.AT_EMPTY_PATH)
}
