// Package network is the networks that were made by a command, for projects to join by `external: true`: what they are,
// as a file each. They outlive the projects on them and the boot; on the machine nothing is made for them.
package network

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/pcompose/pcompose/engine/state"
	"github.com/pcompose/pcompose/pod"
)

// Errors about a network that does not exist, or does already; others wrap them.
var (
	ErrNotFound = errors.New("no such network")
	ErrExists   = errors.New("it exists already")
)

// version of the files. A newer one is refused.
const version = 1

// Store is the networks below one directory, which is made with the first. Who changes it holds a lock of the machine.
type Store struct {
	root string
	now  func() time.Time
}

// New gives the networks below root. The clock dates new ones.
func New(root string, now func() time.Time) *Store { return &Store{root, now} }

// Network is a network that exists.
type Network struct {
	pod.Network
	Created time.Time
}

type record struct {
	Version int `json:"version"`
	Network
}

// CheckName says why a name cannot be a network's; nil when it can.
func CheckName(name string) error {
	if !regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,199}$`).MatchString(name) {
		return fmt.Errorf("network name %q is not valid: letters, digits, and _ . - after the first", name)
	}
	return nil
}

// Create stores a network, its pools completed; ErrExists where there is one of its name. It is there whole or not at all.
func (s *Store) Create(n pod.Network) error {
	if err := CheckName(n.Name); err != nil {
		return fmt.Errorf("cannot create network %q: %w", n.Name, err)
	}
	if _, err := os.Stat(s.file(n.Name)); err == nil {
		return fmt.Errorf("cannot create network %q: %w", n.Name, ErrExists)
	}
	n.Key, n.Taken = "", nil
	b, err := json.MarshalIndent(record{version, Network{n, s.now().UTC()}}, "", "  ")
	if err == nil {
		err = os.MkdirAll(s.root, 0o711)
	}
	if err == nil {
		err = state.WriteFile(s.file(n.Name), append(b, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("cannot create network %q: %w", n.Name, err)
	}
	return nil
}

// Remove forgets a network; ErrNotFound where there is none.
func (s *Store) Remove(name string) error {
	err := CheckName(name)
	if err == nil {
		err = os.Remove(s.file(name))
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("cannot remove network %q: %w", name, err)
	}
	return nil
}

// List gives the networks sorted by name. One that cannot be read does not hide the others: they come with the error.
func (s *Store) List() ([]Network, error) {
	entries, err := os.ReadDir(s.root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot list networks: %w", err)
	}
	var all []Network
	var errs []error
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), suffix)
		if !ok || CheckName(name) != nil {
			continue
		}
		n, err := s.read(name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all = append(all, n)
	}
	return all, errors.Join(errs...)
}

func (s *Store) read(name string) (Network, error) {
	var r record
	b, err := os.ReadFile(s.file(name))
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	if err == nil && r.Version != version {
		err = fmt.Errorf("it has version %d, newer than this program", r.Version)
	}
	if err != nil {
		return Network{}, fmt.Errorf("cannot read network %q, %s: %w", name, s.file(name), err)
	}
	return r.Network, nil
}

const suffix = ".json"

func (s *Store) file(name string) string { return filepath.Join(s.root, name+suffix) }
