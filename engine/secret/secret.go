// Package secret is the secrets and configs of a container: files in memory, with an owner and a mode.
//
// Each container that has any gets a tmpfs of its own, rather than a directory on /run's: only so are they never
// swapped to disk (noswap, Linux 6.4), bounded in size, and gone in one step. A container without any costs nothing.
// Content is in no argument, error or log.
package secret

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/pcompose/pcompose/pod"
	"go.podman.io/storage/pkg/mount"
	"golang.org/x/sys/unix"
)

// maxFile bounds one file in bytes: it stays in memory that cannot be swapped.
const maxFile = 16 << 20

// Mount is a file to be bound into the container.
type Mount struct {
	// Source is its path on the host, Target in the container.
	Source, Target string
}

// Write makes dir a tmpfs that only root enters, with the files in it, and tells where each belongs, in their order.
// What was in dir before is replaced; a container that runs keeps what it has. Read gives a file's content. After an
// error nothing is left; after a kill the next Write or Remove clears up. With no files it only removes.
func Write(dir string, files []pod.File, read func(pod.File) ([]byte, error)) ([]Mount, error) {
	if err := Remove(dir); err != nil || len(files) == 0 {
		return nil, err
	}
	contents := make([][]byte, len(files))
	var size int64
	for i, file := range files {
		content, err := read(file)
		if err != nil {
			return nil, fmt.Errorf("cannot read %s: %w", what(file), err)
		}
		if len(content) > maxFile {
			return nil, fmt.Errorf("cannot use %s: it has more than %d bytes", what(file), maxFile)
		}
		contents[i] = content
		size += int64(len(content)) + int64(os.Getpagesize())
	}
	if err := mountMemory(dir, size, len(files)); err != nil {
		return nil, fmt.Errorf("cannot make a place in memory for secrets: %w", err)
	}
	var mounts []Mount
	for i, file := range files {
		// Names of our own: a target may have any depth, and two may end alike.
		source := filepath.Join(dir, strconv.Itoa(i))
		if err := writeFile(source, file, contents[i]); err != nil {
			return nil, errors.Join(fmt.Errorf("cannot write %s: %w", what(file), err), Remove(dir))
		}
		clear(contents[i])
		mounts = append(mounts, Mount{Source: source, Target: file.Target})
	}
	return mounts, nil
}

// what names a file in messages.
func what(file pod.File) string {
	if file.Secret {
		return fmt.Sprintf("secret %q", file.Source)
	}
	return fmt.Sprintf("config %q", file.Source)
}

// mountMemory mounts a tmpfs with room for so many bytes in so many files.
func mountMemory(dir string, size int64, files int) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	options := fmt.Sprintf("mode=0700,size=%d,nr_inodes=%d", size+int64(os.Getpagesize()), files+1)
	err := unix.Mount("tmpfs", dir, "tmpfs", flags, options+",noswap")
	if errors.Is(err, unix.EINVAL) {
		// An older kernel, or a user namespace, which may not ask for it (tmpfs(5)).
		err = unix.Mount("tmpfs", dir, "tmpfs", flags, options)
	}
	if err != nil {
		return errors.Join(&os.PathError{Op: "mount", Path: dir, Err: err}, os.Remove(dir))
	}
	return nil
}

func writeFile(path string, file pod.File, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Chown(file.UID, file.GID)
	}
	if err == nil {
		// After the owner: chown(2) clears bits, and before both nobody else may read.
		err = f.Chmod(os.FileMode(file.Mode & 0o777))
	}
	return errors.Join(err, f.Close())
}

// Remove takes a container's files away with their tmpfs; nil means "they are gone".
func Remove(dir string) error {
	for {
		mounted, err := mount.Mounted(dir)
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err == nil && !mounted {
			break
		}
		if err == nil {
			// Whoever still holds a file open keeps that file only.
			err = unix.Unmount(dir, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		}
		if err != nil {
			return fmt.Errorf("cannot unmount %q: %w", dir, err)
		}
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cannot remove secrets: %w", err)
	}
	return nil
}

// Reader gives the content of files as a Compose file tells it: a file of the host, a variable of the caller's
// environment, which lookup knows (os.LookupEnv), a secret that external has, or the words themselves.
func Reader(lookup func(name string) (string, bool), external func(name string) ([]byte, error)) func(pod.File) ([]byte, error) {
	return func(file pod.File) ([]byte, error) {
		switch {
		case file.External != "":
			return external(file.External)
		case file.HostPath != "":
			return readHost(file.HostPath)
		case file.EnvVar != "":
			value, ok := lookup(file.EnvVar)
			if !ok {
				return nil, fmt.Errorf("environment variable %q is not set", file.EnvVar)
			}
			return []byte(value), nil
		}
		return []byte(file.Content), nil
	}
}

// readHost reads a regular file of the host, up to one byte more than may be.
func readHost(path string) ([]byte, error) {
	// O_NONBLOCK: opening a FIFO must not wait for a writer.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	stat, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !stat.Mode().IsRegular() {
		return nil, fmt.Errorf("%q is not a regular file", path)
	}
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}
