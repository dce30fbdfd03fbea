package volume

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	pathrs "github.com/cyphar/filepath-securejoin/pathrs-lite"
	"golang.org/x/sys/unix"
)

// Populate fills an empty volume with what a mounted root filesystem has at path: files, directories and symbolic
// links with owners, modes, times and extended attributes. Devices, FIFOs and sockets are left out. A volume with
// content stays as it is, and so does any where the path is missing or no directory. The volume must be mounted.
//
// A Populate that was killed is done again by the next one: while it goes on a marker stands beside the content. Two
// at once on one volume take turns. No symbolic link of the image or the volume is ever followed out of it.
func (s *Store) Populate(ctx context.Context, name, root, path string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	if err := s.populate(ctx, name, root, path); err != nil {
		return fmt.Errorf("cannot fill volume %q from the image's %q: %w", name, path, err)
	}
	return nil
}

func (s *Store) populate(ctx context.Context, name, root, path string) error {
	source, err := pathrs.OpenInRoot(root, path)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return nil
	}
	if err != nil {
		return err
	}
	defer source.Close()
	if stat, err := source.Stat(); err != nil || !stat.IsDir() {
		return err
	}
	unlock, err := lock(s.dir(name))
	if err != nil {
		return err
	}
	defer unlock()
	marker := filepath.Join(s.dir(name), "populating")
	if _, err := os.Lstat(marker); err != nil {
		if empty, err := isEmpty(s.path(name)); err != nil || !empty {
			return err
		}
	}
	from, err := pathrs.Reopen(source, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(s.path(name), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer to.Close()
	if err := os.WriteFile(marker, nil, 0o600); err != nil {
		return err
	}
	c := copier{ctx: ctx}
	err = c.dir(from, to, 0)
	if errors.Is(err, unix.EROFS) {
		// A volume mounted read-only is what it is.
		return os.Remove(marker)
	}
	if err != nil {
		return err
	}
	if c.files > fewFiles {
		// One flush of the file system is cheaper than so many fsyncs.
		if err := unix.Syncfs(int(to.Fd())); err != nil {
			return err
		}
	}
	if err := os.Remove(marker); err != nil || c.files == 0 {
		return err
	}
	// Were the marker to come back with a power cut, the next Populate would write over what the container wrote.
	return syncDir(s.dir(name))
}

// isEmpty says whether a directory has nothing in it; lost+found, which mkfs makes, does not count.
func isEmpty(dir string) (bool, error) {
	f, err := os.Open(dir)
	if err != nil {
		return false, err
	}
	defer f.Close()
	names, err := f.Readdirnames(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	return len(names) == 0 || (len(names) == 1 && names[0] == "lost+found"), nil
}
