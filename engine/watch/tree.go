package watch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"
)

// tree tells of changes of some paths and of all below them. inotify(7) knows single directories only: those that appear
// are taken in with what is in them already, those that leave are let go of.
type tree struct {
	watcher *fsnotify.Watcher
	roots   []string
	// skips says of a directory that nobody wants to know what is in it.
	skips func(dir string) bool
	// known is what is there below the roots, and of each whether it is a directory that is watched: when events are lost,
	// it tells what has gone since.
	known map[string]bool
	// idle is when the kernel was last known to have nothing to tell.
	idle time.Time
}

// openTree watches paths, which must exist, and with each the directory that it is in: what replaces it, as editors do,
// is seen there.
func openTree(roots []string, skips func(dir string) bool) (*tree, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, limits(err)
	}
	t := &tree{watcher: w, roots: roots, skips: skips, known: map[string]bool{}, idle: time.Now()}
	for _, root := range roots {
		if _, err = os.Lstat(root); err == nil {
			err = w.Add(filepath.Dir(root))
		}
		if err == nil {
			_, err = t.enter(root)
		}
		if err != nil {
			w.Close()
			return nil, fmt.Errorf("cannot watch %q: %w", root, limits(plain(err)))
		}
	}
	return t, nil
}

func (t *tree) close() { t.watcher.Close() }

// limits names the setting of the kernel that an error is of.
func limits(err error) error {
	switch {
	case errors.Is(err, unix.ENOSPC):
		return fmt.Errorf("the kernel watches no more directories for this user: raise the limit with `sysctl fs.inotify.max_user_watches=524288`, or ignore directories that need no watch: %w", err)
	case errors.Is(err, unix.EMFILE):
		return fmt.Errorf("the kernel has no more watchers for this user: raise the limit with `sysctl fs.inotify.max_user_instances=512`: %w", err)
	}
	return err
}

// plain is an error without the path that it names once more.
func plain(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

// concerns says whether a path is a root or below one; what else changes beside a root is nobody's.
func (t *tree) concerns(name string) bool {
	return slices.ContainsFunc(t.roots, func(root string) bool { return within(name, root) })
}

// within says whether a path is a directory or below it.
func within(name, dir string) bool {
	return name == dir || strings.HasPrefix(name, strings.TrimSuffix(dir, "/")+"/")
}

// enter takes in a path with all below it, and tells what it found. A directory is watched before it is read, so that
// nothing comes unseen between the two. What has gone meanwhile, or is nobody's to read, is left out.
func (t *tree) enter(name string) (found []string, err error) {
	st, err := os.Lstat(name)
	if err != nil {
		return nil, nil // gone: an event tells, or has told
	}
	isDir := st.IsDir() && !t.skips(name)
	t.known[name], found = isDir, []string{name}
	if !isDir {
		return found, nil
	}
	err = t.watcher.Add(name)
	if errors.Is(err, unix.ENOSPC) {
		return found, err
	}
	if err != nil {
		return found, nil //nolint:nilerr // gone, or closed to us
	}
	list, err := os.ReadDir(name)
	if err != nil {
		return found, nil //nolint:nilerr // as above
	}
	for _, e := range list {
		below, err := t.enter(filepath.Join(name, e.Name()))
		found = append(found, below...)
		if err != nil {
			return found, err
		}
	}
	return found, nil
}

// leave lets go of a path with all below it, and tells what that was. inotify goes on watching directories that were
// renamed, and would tell of them by their old names.
func (t *tree) leave(name string) (gone []string) {
	if watched, known := t.known[name]; !known || !watched {
		delete(t.known, name)
		return []string{name}
	}
	for path, watched := range t.known {
		if !within(path, name) {
			continue
		}
		if watched {
			_ = t.watcher.Remove(path) // it may be gone with the directory
		}
		delete(t.known, path)
		gone = append(gone, path)
	}
	return gone
}

// next is what has changed by the next event; nothing where it concerns nobody. An error ends the watch.
func (t *tree) next(ctx context.Context) ([]string, error) {
	begun := time.Now()
	var event fsnotify.Event
	var err error
	open := true
	select {
	case event, open = <-t.watcher.Events:
	case err = <-t.watcher.Errors:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if time.Since(begun) > lull {
		t.idle = time.Now()
	}
	switch {
	case errors.Is(err, fsnotify.ErrEventOverflow):
		return t.rescan()
	case err != nil:
		return nil, fmt.Errorf("cannot watch files: %w", err)
	case !open:
		return nil, errors.New("cannot watch files: inotify has ended")
	}
	return t.take(event)
}

// lull is how long no event must have come for the kernel's queue to have been empty.
const lull = 50 * time.Millisecond

func (t *tree) take(e fsnotify.Event) ([]string, error) {
	if !t.concerns(e.Name) {
		return nil, nil
	}
	switch {
	case e.Has(fsnotify.Remove), e.Has(fsnotify.Rename):
		return t.leave(e.Name), nil
	case e.Has(fsnotify.Create):
		gone := []string(nil)
		if t.known[e.Name] { // another directory has come in its place
			gone = t.leave(e.Name)
		}
		found, err := t.enter(e.Name)
		return append(gone, found...), limits(err)
	}
	return []string{e.Name}, nil
}

// rescan tells of what has gone or changed since there was nothing to tell: the kernel has dropped events, nobody knows which.
func (t *tree) rescan() (changed []string, err error) {
	before := maps.Clone(t.known)
	for _, root := range t.roots {
		t.leave(root)
	}
	for _, root := range t.roots {
		if _, err := t.enter(root); err != nil {
			return nil, limits(err)
		}
	}
	for path := range before {
		if _, there := t.known[path]; !there {
			changed = append(changed, path)
		}
	}
	// A full queue takes its time to be read.
	return append(changed, since(t.all(), t.idle.Add(-time.Second))...), nil
}

// all are the paths there are.
func (t *tree) all() []string {
	var all []string
	for path := range t.known {
		all = append(all, path)
	}
	slices.Sort(all)
	return all
}

// since are those of paths that have changed since a time, by the time of their inodes, which nobody can set back.
func since(paths []string, at time.Time) []string {
	var changed []string
	for _, path := range paths {
		var st unix.Stat_t
		if unix.Lstat(path, &st) == nil && !time.Unix(st.Ctim.Unix()).Before(at) {
			changed = append(changed, path)
		}
	}
	return changed
}
