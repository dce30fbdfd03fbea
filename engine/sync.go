package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	pathrs "github.com/cyphar/filepath-securejoin/pathrs-lite"
	"github.com/pcompose/pcompose/engine/archive"
	"golang.org/x/sys/unix"
)

// Synced is one file, link or directory of the host and where it belongs in a container.
type Synced struct {
	// Host is its path on the host, Inside that in the container; both are absolute.
	Host, Inside string
}

// Sync makes each of the list in a container, which need not run, what it is on the host now: a file with its content, mode
// and time, a link, a directory without what is in it, and what is not there is not there in the container either. They
// belong to the container's user, where it has one, as docker has it. It is idempotent: killed, or failed for some of
// the list, it can be done again.
func (f Files) Sync(ctx context.Context, container string, list []Synced) error {
	t, err := f.tree(ctx, container)
	if err != nil {
		return err
	}
	defer t.close()
	owner, err := f.user(container)
	if err != nil {
		return err
	}
	s := &syncing{inside: t, owner: owner, from: map[string]*os.Root{}, to: map[string]*os.Root{}}
	defer s.close()
	failed := func(c Synced, err error) error {
		return fmt.Errorf("cannot sync %q to %q in container %q: %w", c.Host, c.Inside, container, inContainer(container, err))
	}
	var errs []error
	var there []Synced
	for _, c := range list { // what leaves makes room first: a directory for a file of its name, say
		switch gone, err := s.gone(c); {
		case err != nil:
			errs = append(errs, failed(c, err))
		case !gone:
			there = append(there, c)
		}
	}
	// A directory comes before what is in it.
	slices.SortFunc(there, func(a, b Synced) int { return strings.Compare(a.Inside, b.Inside) })
	for _, c := range there {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := s.place(c); err != nil {
			errs = append(errs, failed(c, err))
		}
	}
	if r, err := f.project.record(container); err == nil {
		note(f.project, r, "sync")
	}
	return errors.Join(errs...)
}

// syncing is one Sync, with the directories that it has open.
type syncing struct {
	inside   *containerTree
	owner    *archive.Owner
	from, to map[string]*os.Root
}

func (s *syncing) close() {
	for _, dirs := range []map[string]*os.Root{s.from, s.to} {
		for dir := range maps.Values(dirs) {
			dir.Close()
		}
	}
}

// gone removes from the container what the host does not have, and says whether that was so.
func (s *syncing) gone(c Synced) (bool, error) {
	from, err := s.host(filepath.Dir(c.Host))
	if err == nil {
		_, err = from.Lstat(filepath.Base(c.Host))
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		dir, name := path.Split(path.Clean("/" + c.Inside))
		return true, s.remove(dir, name)
	}
	return false, plainCause(err)
}

// place makes something in the container what it is on the host.
func (s *syncing) place(c Synced) error {
	dir, name := path.Split(path.Clean("/" + c.Inside))
	from, err := s.host(filepath.Dir(c.Host))
	if err == nil && name != "" { // else it is the container's root itself
		var to *os.Root
		if to, err = s.container(dir, true); err == nil {
			err = archive.Place(from, filepath.Base(c.Host), to, name, s.owner)
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it has gone meanwhile, which is a change of its own
	}
	return err
}

// remove takes something away with all that is in it. Idempotent.
func (s *syncing) remove(dir, name string) error {
	if name == "" {
		return nil
	}
	to, err := s.container(dir, false)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return nil
	}
	if err != nil {
		return err
	}
	for opened, root := range s.to { // what is open below is another directory then
		if strings.HasPrefix(opened, path.Join(dir, name)+"/") {
			root.Close()
			delete(s.to, opened)
		}
	}
	return plainCause(to.RemoveAll(name))
}

// host opens a directory of the host.
func (s *syncing) host(dir string) (*os.Root, error) {
	if root, ok := s.from[dir]; ok {
		return root, nil
	}
	root, err := os.OpenRoot(dir)
	if err == nil {
		s.from[dir] = root
	}
	return root, err
}

// container opens a directory of the container, and makes it where it is missing: root's, as docker does.
func (s *syncing) container(dir string, create bool) (*os.Root, error) {
	if root, ok := s.to[dir]; ok {
		return root, nil
	}
	root, err := s.inside.open(dir)
	if create && errors.Is(err, fs.ErrNotExist) {
		var made *os.File
		if made, err = pathrs.MkdirAllHandle(s.inside.root, dir, 0o755); err == nil {
			made.Close()
			root, err = s.inside.open(dir)
		}
	}
	if err == nil {
		s.to[dir] = root
	}
	return root, err
}
