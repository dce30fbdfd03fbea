// Package cache keeps folders of content that was fetched, each of them complete or not there.
package cache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// partial starts the names of folders that are being filled.
const partial = ".partial-"

// Dir is a folder of such folders. It is made by the first that is put into it, for its owner alone.
type Dir string

// Get is the path of the folder of that name, which must be a plain one; what fill puts into a folder is it, where there is none yet.
//
// It appears by a rename, after all of it is on the disk. Others who want to add one meanwhile wait. What a killed call
// left is removed by the next.
func (d Dir) Get(ctx context.Context, name string, fill func(dir string) error) (path string, err error) {
	if path = filepath.Join(string(d), name); exists(path) {
		return path, nil
	}
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return "", fmt.Errorf("cannot make cache: %w", err)
	}
	lock, err := d.lock(ctx)
	if err != nil {
		return "", fmt.Errorf("cannot lock cache %q: %w", d, err)
	}
	defer lock.Close()
	if exists(path) { // it came while we waited
		return path, nil
	}
	if err := d.clean(); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(string(d), partial)
	if err != nil {
		return "", fmt.Errorf("cannot make a folder in the cache: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	if err := fill(dir); err != nil {
		return "", err
	}
	if err := flush(dir); err != nil {
		return "", fmt.Errorf("cannot write cache %q: %w", d, err)
	}
	if err := os.Rename(dir, path); err != nil {
		return "", fmt.Errorf("cannot add to the cache: %w", err)
	}
	return path, nil
}

// Has says whether there is a folder of that name.
func (d Dir) Has(name string) bool { return exists(filepath.Join(string(d), name)) }

// Names are those of its folders, sorted.
func (d Dir) Names() (names []string, err error) {
	entries, err := os.ReadDir(string(d))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot read cache: %w", err)
	}
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// Remove removes a folder; nil means that there is none of that name. It goes by one rename: no part of it is ever taken for it, and
// what a killed call leaves is removed by the next Get or Remove.
func (d Dir) Remove(ctx context.Context, name string) error {
	if !d.Has(name) {
		return nil
	}
	lock, err := d.lock(ctx)
	if err != nil {
		return fmt.Errorf("cannot lock cache %q: %w", d, err)
	}
	defer lock.Close()
	if err := os.Rename(filepath.Join(string(d), name), filepath.Join(string(d), partial+name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot remove %q from the cache: %w", name, err)
	}
	return d.clean()
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// lock takes the lock of the cache, which ends with the file it returns or with the process.
func (d Dir) lock(ctx context.Context) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(string(d), ".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	// flock(2) cannot be waited for together with a context: where that ends first, the process is about to.
	taken := make(chan error, 1)
	go func() {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX)
		for errors.Is(err, unix.EINTR) {
			err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
		}
		taken <- err
	}()
	select {
	case err := <-taken:
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		return f, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// clean removes what killed calls left. The lock says that none of it is at work.
func (d Dir) clean() error {
	entries, err := os.ReadDir(string(d))
	if err != nil {
		return fmt.Errorf("cannot read cache: %w", err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), partial) {
			if err := os.RemoveAll(filepath.Join(string(d), e.Name())); err != nil {
				return fmt.Errorf("cannot clean cache: %w", err)
			}
		}
	}
	return nil
}

// flush brings what a folder's file system has to its disk: the rename must not come before the content.
func flush(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}

// scratch starts the names of folders of Scratch.
const scratch = ".scratch-"

// Scratch gives use a folder for as long as it runs. What killed calls left is removed.
func (d Dir) Scratch(use func(dir string) error) (err error) {
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return fmt.Errorf("cannot make a temporary folder: %w", err)
	}
	entries, err := os.ReadDir(string(d))
	if err != nil {
		return fmt.Errorf("cannot look for temporary folders: %w", err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), scratch) {
			continue
		}
		// Its lock is gone with the process that made it.
		if held, err := claim(filepath.Join(string(d), e.Name())); err == nil {
			err = errors.Join(os.RemoveAll(held.Name()), held.Close())
			if err != nil {
				return fmt.Errorf("cannot remove a temporary folder: %w", err)
			}
		}
	}
	dir, err := os.MkdirTemp(string(d), scratch)
	if err != nil {
		return fmt.Errorf("cannot make a temporary folder: %w", err)
	}
	held, err := claim(dir)
	if err != nil { // another has taken it for one that was left, in between
		return fmt.Errorf("cannot lock temporary folder %q: %w: try again", dir, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir), held.Close()) }()
	return use(dir)
}

// claim opens a folder and locks it, unless another has.
func claim(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
