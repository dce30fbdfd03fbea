package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/pcompose/pcompose/engine/scope"
	"golang.org/x/sys/unix"
)

// cgroupMount is where cgroups are: one tree in v2, a tree for each hierarchy in v1.
const cgroupMount = "/sys/fs/cgroup"

// reapedWithin is how long killed processes may take to leave their cgroup: whoever is their parent must reap them.
const reapedWithin = 10 * time.Second

// endCgroup kills what runs in a cgroup and removes it, with those below it, from every hierarchy. Runtimes remove
// the containers' own, not their parent. A scope goes by systemd, which would believe in it for ever if somebody else
// removed it. Idempotent: one that is not there is removed; "" is none.
func endCgroup(ctx context.Context, cgroup string) error {
	if cgroup == "" {
		return nil
	}
	deadline := time.Now().Add(reapedWithin)
	remove := func() error { return removeCgroup(cgroupDirs(cgroup)) }
	if scope.Is(cgroup) {
		remove = func() error { return emptyScope(filepath.Join(cgroupMount, cgroup)) }
	}
	for {
		err := remove()
		if err == nil || !errors.Is(err, unix.EBUSY) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-time.After(5 * time.Millisecond): // nothing in cgroup v1 tells when the last process has left
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// cgroupDirs are the directories that a cgroup has, or may have.
func cgroupDirs(cgroup string) []string {
	dirs := []string{filepath.Join(cgroupMount, cgroup)}
	hierarchies, err := os.ReadDir(cgroupMount)
	if err != nil {
		return nil // no cgroups here
	}
	for _, h := range hierarchies {
		dirs = append(dirs, filepath.Join(cgroupMount, h.Name(), cgroup))
	}
	return dirs
}

// emptyScope kills all that is in a scope; EBUSY until systemd has seen that and removed it.
func emptyScope(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if e.IsDir() {
			err = errors.Join(err, removeCgroup([]string{filepath.Join(dir, e.Name())}))
		}
	}
	killCgroup(dir)
	return errors.Join(err, fmt.Errorf("systemd has not removed %s: %w", dir, unix.EBUSY))
}

// removeCgroup kills what is in cgroups and removes them, deepest first. It tells the first that it could not.
func removeCgroup(dirs []string) error {
	var failed error
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		var below []string
		for _, e := range entries {
			if e.IsDir() {
				below = append(below, filepath.Join(dir, e.Name()))
			}
		}
		err = removeCgroup(below)
		killCgroup(dir)
		if rmErr := unix.Rmdir(dir); err == nil && rmErr != nil && !errors.Is(rmErr, unix.ENOENT) {
			err = fmt.Errorf("cannot remove cgroup %s: %w", dir, rmErr)
		}
		if failed == nil {
			failed = err
		}
	}
	return failed
}

// killCgroup kills the processes of one cgroup. What it cannot kill, the removal tells.
func killCgroup(dir string) {
	b, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if err != nil {
		return
	}
	for _, line := range strings.Fields(string(b)) {
		if pid, err := strconv.Atoi(line); err == nil && pid > 0 {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
}
