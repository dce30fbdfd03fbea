// Package state is what pcompose remembers of projects: versioned files, written atomically, one lock a project.
//
// A project has two directories. The state directory outlives a reboot: project.json, and the logs. The run
// directory is on a tmpfs: the lock, the pod's sockets and process ids, the containers' bundles.
package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/pcompose/pcompose/pod"
)

// version of project.json. A newer one is refused: an old binary must not lose what it does not know.
const version = 1

// Record is what is remembered of a container. It is written before anything is made for the container, so
// that whatever an interrupted command left can be found by ID.
type Record struct {
	ID string
	// Container is what the plan said, the base of the next plan's comparison.
	Container pod.Container
	ImageID   string
	CreatedAt time.Time
	// Argv is what it runs, with what the image says filled in.
	Argv []string
	// Anonymous are its anonymous volumes by path.
	Anonymous map[string]string `json:",omitempty"`
	// Taken are the mounts it has from other containers, their volumes named.
	Taken []pod.Mount `json:",omitempty"`
	// Mounted are the images it mounts, by path.
	Mounted map[string]MountedImage `json:",omitempty"`
}

// Mounts are the container's own mounts and those it has from others.
func (r Record) Mounts() []pod.Mount { return slices.Concat(r.Container.Mounts, r.Taken) }

// MountedImage is an image whose files a container mounts.
type MountedImage struct {
	// Root is the ID of the root filesystem over it that is mounted, ImageID the image it was made from.
	Root, ImageID string
}

// Project is what is remembered of a project.
type Project struct {
	Version int
	Spec    pod.Spec
	// Containers by name.
	Containers map[string]Record
	// Kept are the anonymous volumes of containers that were removed to be made anew, by container and path: until
	// the new one is recorded nothing else knows them.
	Kept map[string]map[string]string `json:",omitempty"`
	// Providers by service. Each is written before its program is run, and goes when the program has taken it down.
	Providers map[string]pod.ProviderStatus `json:",omitempty"`
}

// Store is the two directories of all projects.
type Store struct{ root, run string }

// New is the store below two directories, which are made when something is written.
func New(root, run string) *Store { return &Store{root: root, run: run} }

// Root is the directory of what outlives a reboot.
func (s *Store) Root() string { return s.root }

// Dir is a project's state directory, which outlives a reboot.
func (s *Store) Dir(project string) string { return filepath.Join(s.root, "projects", project) }

// memory is the file that says what is remembered of a project.
func (s *Store) memory(project string) string { return filepath.Join(s.Dir(project), "project.json") }

// RunDir is a project's run directory, which a reboot empties.
func (s *Store) RunDir(project string) string { return filepath.Join(s.run, project) }

// LogDir is where a container's output is kept.
func (s *Store) LogDir(project, id string) string { return filepath.Join(s.Dir(project), "logs", id) }

// BundleDir is where a container's bundle is.
func (s *Store) BundleDir(project, id string) string { return BundleDir(s.RunDir(project), id) }

// BundleDir is the directory of a container's bundle in a project's run directory.
func BundleDir(runDir, id string) string { return filepath.Join(runDir, "containers", id) }

// RuntimeDir is where the OCI runtime keeps its own state of a project's containers.
func RuntimeDir(runDir string) string { return filepath.Join(runDir, "runtime") }

// CellPath is a stable path to a cell's network namespace: a link that each supervisor points at the keeper's
// file, so that a bundle can be written before the namespace exists.
func CellPath(runDir, cell string) string { return filepath.Join(runDir, "cells", cell) }

// validName is what names a project (Compose specification): it becomes a directory's name.
func validName(project string) error {
	if !regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*$`).MatchString(project) {
		return fmt.Errorf("%q is no project name: use lower case letters, digits, dashes and underscores, a letter or digit first", project)
	}
	return nil
}

// Load reads what is remembered of a project; nil for nothing.
func (s *Store) Load(project string) (*Project, error) {
	if err := validName(project); err != nil {
		return nil, err
	}
	path := s.memory(project)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the state of project %q: %w", project, err)
	}
	var p Project
	err = json.Unmarshal(b, &p)
	if err != nil { // a newer version may mean something else by a field
		var head struct{ Version int }
		if json.Unmarshal(b, &head) == nil {
			p.Version = head.Version
		}
	}
	switch {
	case p.Version > version:
		return nil, fmt.Errorf("cannot read the state of project %q: it was written by a newer pcompose", project)
	case err != nil:
		return nil, fmt.Errorf("cannot read the state of project %q: %s is damaged: %w", project, path, err)
	}
	return &p, nil
}

// Names are the projects remembered, sorted.
func (s *Store) Names() ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(s.root, "projects"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot list projects: %w", err)
	}
	var names []string
	for _, e := range entries {
		if _, err := os.Stat(s.memory(e.Name())); err == nil {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// Remove forgets a project and removes both its directories. Idempotent; what is mounted below is the
// caller's to unmount.
func (s *Store) Remove(project string) error {
	if err := validName(project); err != nil {
		return err
	}
	// The memory goes last: while it is there, a command that finds it goes on with the removal.
	if err := errors.Join(os.RemoveAll(s.RunDir(project)), os.RemoveAll(s.Dir(project))); err != nil {
		return fmt.Errorf("cannot remove the state of project %q: %w", project, err)
	}
	return nil
}

// Editor changes what is remembered of one project, whose lock its user holds. Edits that come while one is
// written are written together: fsync costs milliseconds, and a plan creates containers side by side.
type Editor struct {
	path    string
	mu      sync.Mutex
	project *Project
	// held is what the project says of its networks once it is told.
	held Held
	told bool
	// written is done when the write that includes the newest edit has ended; nil when none waits.
	written *write
	writing sync.Mutex
}

type write struct {
	once sync.Once
	err  error
}

// Edit opens what is remembered of a project for changes, empty if there is nothing yet.
func (s *Store) Edit(project string) (*Editor, error) {
	p, err := s.Load(project)
	if err != nil {
		return nil, err
	}
	if p == nil {
		p = &Project{}
	}
	if p.Containers == nil {
		p.Containers = map[string]Record{}
	}
	p.Version = version
	if err := makeDir(s.Dir(project)); err != nil {
		return nil, fmt.Errorf("cannot write the state of project %q: %w", project, err)
	}
	e := &Editor{path: s.memory(project), project: p, held: Held{}}
	e.held.add(p.Spec.Networks)
	return e, nil
}

// tell has others know of networks that are new.
func (e *Editor) tell() error {
	dir := filepath.Dir(e.path)
	if e.held.add(e.project.Spec.Networks) || !e.told {
		e.told = true
		return e.held.write(dir)
	}
	return nil
}

// makeDir makes a project's directory, on disk too: a file in it is only as safe as its name (fsync(2)).
func makeDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	parent, err := os.Open(filepath.Dir(dir))
	if err != nil {
		return err
	}
	defer parent.Close()
	return parent.Sync()
}

// Project is a copy of what is remembered now.
func (e *Editor) Project() Project {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := *e.project
	p.Containers = make(map[string]Record, len(e.project.Containers))
	for k, v := range e.project.Containers {
		p.Containers[k] = v
	}
	return p
}

// Change edits and returns when the edit is on disk.
func (e *Editor) Change(edit func(*Project)) error {
	e.mu.Lock()
	edit(e.project)
	if e.written == nil {
		e.written = &write{}
	}
	w := e.written
	e.mu.Unlock()
	w.once.Do(func() {
		e.writing.Lock()
		defer e.writing.Unlock()
		e.mu.Lock()
		e.written = nil // edits from here on go with the next write
		b, err := json.MarshalIndent(e.project, "", " ")
		err = errors.Join(err, e.tell())
		e.mu.Unlock()
		if err == nil {
			err = WriteFile(e.path, b, 0o600)
		}
		if err != nil {
			w.err = fmt.Errorf("cannot write the project's state: %w", err)
		}
	})
	return w.err
}
