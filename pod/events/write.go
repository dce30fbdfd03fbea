package events

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// maxSize of the newer of the two files, in bytes: some thousand events, where docker keeps 256.
const maxSize = 256 << 10

// older is where a file goes when it is full.
func older(path string) string { return path + ".1" }

// Write appends an event to a project's file, which it makes with its directory. Safe at any moment against a kill, and
// beside other writers; not synced.
func Write(path string, e Event) error {
	line, err := encode(e)
	if err != nil {
		return err
	}
	if err := write(path, line); err != nil {
		return fmt.Errorf("cannot write event: %w", err)
	}
	return nil
}

func write(path string, line []byte) error {
	const flags = os.O_WRONLY | os.O_APPEND | os.O_CREATE
	f, err := os.OpenFile(path, flags, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		f, err = os.OpenFile(path, flags, 0o600)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(line); err != nil {
		return err
	}
	st, err := f.Stat()
	if err != nil || st.Size() < maxSize {
		return err
	}
	// One of several writers turns the page: who gets the lock, and finds the file still in its place.
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		return nil
	}
	if now, err := os.Stat(path); err == nil && os.SameFile(now, st) {
		return os.Rename(path, older(path))
	}
	return nil
}
