// Package hub is where the pods of several projects meet on one network: which of them are there, the namespace that joins
// them, and the names they have for each other.
//
// A network is a directory, and a pod on it one file there, which its supervisor alone writes: by what path the namespace is
// opened, and whom it has on the network. A pod whose namespace cannot be opened any more was killed, and counts as gone.
package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/pcompose/pcompose/pod"
)

// Member is a pod on a network.
type Member struct {
	// Pod is its project's name.
	Pod string
	// Namespace is the path of the hub's namespace, /proc/PID/fd/N of the pod's keeper, and Inode what it leads to: a
	// number that was given again is not taken for it.
	Namespace string
	Inode     uint64
	// Residents are its containers that run.
	Residents []Resident `json:",omitempty"`
}

// Resident is a container on the network.
type Resident struct {
	Container string
	// Names are those it is found by: lower case.
	Names []string
	Addrs []netip.Addr
	// Ready says that it takes connections: of those with a common name the others are named only where none is.
	Ready bool
	// Service and Listens are for SRV; none for a container of `run`.
	Service string       `json:",omitempty"`
	Listens []pod.Listen `json:",omitempty"`
}

// Seat is the place of one pod on one network.
type Seat struct {
	dir string
	// id is the pod's, unique below the directory.
	id string
}

// NewSeat is the place of the pod with an id on a network, below a directory for all networks, which is made when
// somebody joins.
func NewSeat(dir, network, id string) Seat {
	// A name is any that a file system takes once it is escaped; a dot in front is no name of a network.
	return Seat{filepath.Join(dir, "+"+url.PathEscape(network)), id}
}

// Join takes the seat: with the hub of a pod that is there, else with one that is made. hold keeps it for the pod and gives
// the path by which others open it. One pod at a time joins. Idempotent.
func (s Seat) Join(project string, held *os.File, create func() (*os.File, error), hold func(*os.File) (path string, err error)) (*os.File, error) {
	unlock, err := lock(s.dir, true)
	if err != nil {
		return nil, fmt.Errorf("cannot join the network: %w", err)
	}
	defer unlock()
	hub := s.find()
	if hub == nil {
		if hub = held; hub == nil {
			if hub, err = create(); err != nil {
				return nil, err
			}
		}
	}
	path, err := hold(hub)
	if err == nil {
		m := s.read()
		m.Pod, m.Namespace = project, path
		if m.Inode, err = inode(hub); err == nil {
			err = s.write(m)
		}
	}
	if err != nil {
		return nil, errors.Join(err, hub.Close())
	}
	return hub, nil
}

// find opens the hub of another pod that lives, the first by id; nil for none.
func (s Seat) find() *os.File {
	for _, m := range s.others() {
		if f := m.open(); f != nil {
			return f
		}
	}
	return nil
}

// Tell says whom the pod has on the network. It must have joined. What is told already is not written again.
func (s Seat) Tell(residents []Resident) error {
	m := s.read()
	before, err := json.Marshal(m.Residents)
	if err != nil {
		return err
	}
	if now, err := json.Marshal(residents); err != nil || string(now) == string(before) {
		return err
	}
	m.Residents = residents
	return s.write(m)
}

// Leave gives the seat up; the last to leave takes the network's directory along. Idempotent.
func (s Seat) Leave() error {
	unlock, err := lock(s.dir, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unlock()
	if err := os.Remove(s.file(s.id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot leave the network: %w", err)
	}
	// Those of pods that were killed are nobody's to come back to.
	for id, m := range s.members() {
		if f := m.open(); f != nil {
			f.Close()
			return nil
		}
		if err := os.Remove(s.file(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cannot leave the network: %w", err)
		}
	}
	return os.RemoveAll(s.dir)
}

// Residents are those of the other pods that live, in the order of the pods' ids.
func (s Seat) Residents() []Resident {
	var all []Resident
	for _, m := range s.others() {
		if f := m.open(); f != nil {
			f.Close()
			all = append(all, m.Residents...)
		}
	}
	return all
}

// others are the members but oneself, by id.
func (s Seat) others() []Member {
	all := s.members()
	delete(all, s.id)
	var ids []string
	for id := range all {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	var members []Member
	for _, id := range ids {
		members = append(members, all[id])
	}
	return members
}

func (s Seat) members() map[string]Member {
	all := map[string]Member{}
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return all // nobody is there
	}
	for _, e := range entries {
		if id, ok := strings.CutSuffix(e.Name(), suffix); ok {
			all[id] = Seat{s.dir, id}.read()
		}
	}
	return all
}

// open opens the member's hub, nil where it is no more.
func (m Member) open() *os.File {
	f, err := os.Open(m.Namespace)
	if err != nil {
		return nil
	}
	if n, err := inode(f); err != nil || n != m.Inode {
		f.Close()
		return nil
	}
	return f
}

// inode is that of a network namespace.
func inode(f *os.File) (uint64, error) {
	if kind, err := unix.IoctlRetInt(int(f.Fd()), unix.NS_GET_NSTYPE); err != nil || kind != unix.CLONE_NEWNET {
		return 0, errors.New("it is no network namespace")
	}
	var st unix.Stat_t
	err := unix.Fstat(int(f.Fd()), &st)
	return st.Ino, err
}

const suffix = ".json"

func (s Seat) file(id string) string { return filepath.Join(s.dir, id+suffix) }

// read gives what the pod has told; nothing where it has not, or where that is no JSON.
func (s Seat) read() Member {
	var m Member
	if b, err := os.ReadFile(s.file(s.id)); err != nil || json.Unmarshal(b, &m) != nil {
		return Member{}
	}
	return m
}

// write replaces the file at once. It is not synced: it does not outlive the boot.
func (s Seat) write(m Member) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	fresh := s.file(s.id) + ".new"
	if err = os.WriteFile(fresh, b, 0o600); err == nil {
		err = os.Rename(fresh, s.file(s.id))
	}
	if err != nil {
		return fmt.Errorf("cannot tell other pods of this one: %w", err)
	}
	return nil
}

// lock waits for the network's lock; others hold it for milliseconds. It is on the directory itself, and taken again where
// that is another by then: the last to leave removed it. Who is to make it does so as often as it takes.
func lock(dir string, create bool) (unlock func(), err error) {
	for {
		if create {
			if err := os.MkdirAll(dir, 0o700); err != nil {
				return nil, err
			}
		}
		f, err := os.Open(dir)
		if create && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for {
			// EINTR: flock(2) is not restarted after the Go runtime's preemption signal.
			if err = unix.Flock(int(f.Fd()), unix.LOCK_EX); !errors.Is(err, unix.EINTR) {
				break
			}
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("cannot lock %q: %w", dir, err), f.Close())
		}
		a, errA := f.Stat()
		b, errB := os.Stat(dir)
		if errA == nil && errB == nil && os.SameFile(a, b) {
			return func() { f.Close() }, nil
		}
		f.Close()
	}
}

// LeaveAll gives up all seats of a pod, one that was killed too. Idempotent.
func LeaveAll(dir, id string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var errs []error
	for _, e := range entries {
		s := Seat{filepath.Join(dir, e.Name()), id}
		if _, err := os.Stat(s.file(id)); err == nil {
			errs = append(errs, s.Leave())
		}
	}
	return errors.Join(append(errs, err)...)
}
