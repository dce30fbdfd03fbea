// Package volume is the named volumes of the machine: directories that outlive the containers that mount them.
//
// A volume NAME is the directory ROOT/NAME with _data, its content, and volume.json, what it was made from. It appears
// and disappears by one rename(2), so that no crash leaves half of one: names with a dot in front are leftovers, which
// the next Create or Remove clears. Deleting volume.json by hand makes the volume one without options, content kept.
package volume

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/pcompose/pcompose/pod"
	"golang.org/x/sys/unix"
)

// ErrNotFound is wrapped by errors about a volume that does not exist.
var ErrNotFound = errors.New("no such volume")

// maxName is in bytes: the name and what is put before it while it is made or removed are one file name.
const maxName = 200

// Store is the volumes below one directory. Its methods may be used from many goroutines, and beside other processes.
type Store struct {
	root string
	now  func() time.Time
}

// New gives the volumes below root, which is made with the first volume. The clock dates new volumes.
func New(root string, now func() time.Time) *Store {
	return &Store{root: root, now: now}
}

// Volume is a volume that exists.
type Volume struct {
	Name string
	// Path is its content on the host, once it is mounted.
	Path    string
	Driver  string
	Options map[string]string
	Labels  map[string]string
	Created time.Time
}

// record is volume.json.
type record struct {
	Version int               `json:"version"`
	Options map[string]string `json:"options,omitempty"`
	Labels  map[string]string `json:"labels,omitempty"`
	Created time.Time         `json:"created"`
}

// Create makes a volume; nil means "it exists", not "this call made it". Labels of one that exists are left alone, but
// other driver options are an error: its content would be another. An external volume is never made, only looked for.
func (s *Store) Create(want pod.Volume) error {
	if want.External {
		if have, err := s.Exists(want.Name); err != nil || have {
			return err
		}
		return fmt.Errorf("volume %q is external and does not exist: create it with `pcompose volume create %s`", want.Name, want.Name)
	}
	if err := check(want); err != nil {
		return fmt.Errorf("cannot create volume %q: %w", want.Name, err)
	}
	have, err := s.Inspect(want.Name)
	if err == nil {
		return same(have, want)
	}
	if !errors.Is(err, ErrNotFound) {
		return err
	}
	if err := s.create(want); err != nil {
		return fmt.Errorf("cannot create volume %q: %w", want.Name, err)
	}
	return nil
}

func (s *Store) create(want pod.Volume) error {
	if err := os.MkdirAll(s.root, 0o711); err != nil {
		return err
	}
	unlock, err := lock(s.root)
	if err != nil {
		return err
	}
	defer unlock()
	fresh := filepath.Join(s.root, ".new-"+want.Name)
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(fresh, "_data"), 0o755); err != nil {
		return err
	}
	// Containers of any user may look in, whatever the umask says.
	if err := os.Chmod(filepath.Join(fresh, "_data"), 0o755); err != nil {
		return err
	}
	content, err := json.MarshalIndent(record{
		Version: 1, Options: want.DriverOpts, Labels: want.Labels, Created: s.now().UTC(),
	}, "", "  ")
	if err != nil {
		return err
	}
	if err := writeDurably(filepath.Join(fresh, "volume.json"), append(content, '\n')); err != nil {
		return err
	}
	if err := syncDir(fresh); err != nil {
		return err
	}
	err = os.Rename(fresh, s.dir(want.Name))
	if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EEXIST) {
		// Another process made it since we looked.
		os.RemoveAll(fresh)
		have, err := s.Inspect(want.Name)
		if err != nil {
			return err
		}
		return same(have, want)
	}
	return errors.Join(err, syncDir(s.root))
}

// same compares an existing volume with a wanted one.
func same(have Volume, want pod.Volume) error {
	if maps.Equal(have.Options, want.DriverOpts) {
		return nil
	}
	return fmt.Errorf("volume %q exists with the driver options {%s}, not {%s}: remove it, or give the other one another name",
		want.Name, describe(have.Options), describe(want.DriverOpts))
}

func describe(options map[string]string) string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(options)) {
		value := options[key]
		// Mount options may hold a password (mount.cifs(8)).
		if key == "o" {
			value = regexp.MustCompile(`(?i)(pass\w*)=[^,]*`).ReplaceAllString(value, "$1=***")
		}
		parts = append(parts, key+": "+value)
	}
	return strings.Join(parts, ", ")
}

// check says why a volume cannot be made.
func check(v pod.Volume) error {
	if err := CheckName(v.Name); err != nil {
		return err
	}
	if v.Driver != "" && v.Driver != "local" {
		return fmt.Errorf("there is no volume driver %q, only local", v.Driver)
	}
	for _, key := range slices.Sorted(maps.Keys(v.DriverOpts)) {
		if key != "type" && key != "o" && key != "device" {
			return fmt.Errorf("the local driver has no option %q, only type, o and device", key)
		}
	}
	if typ := v.DriverOpts["type"]; v.DriverOpts["device"] == "" && typ != "" && typ != "tmpfs" {
		return fmt.Errorf("type %q needs a device", typ)
	}
	return nil
}

// CheckName says why a name cannot be a volume's; nil when it can.
func CheckName(name string) error {
	if !regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`).MatchString(name) {
		return fmt.Errorf("volume name %q is not valid: letters, digits, and _ . - after the first", name)
	}
	if len(name) > maxName {
		return fmt.Errorf("volume name %.20q... has more than %d bytes", name, maxName)
	}
	return nil
}

// Exists says whether there is a volume of that name.
func (s *Store) Exists(name string) (bool, error) {
	if err := CheckName(name); err != nil {
		return false, err
	}
	_, err := os.Stat(s.dir(name))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Inspect tells about one volume; ErrNotFound when it does not exist.
func (s *Store) Inspect(name string) (Volume, error) {
	if err := CheckName(name); err != nil {
		return Volume{}, err
	}
	if _, err := os.Stat(s.dir(name)); errors.Is(err, os.ErrNotExist) {
		return Volume{}, fmt.Errorf("volume %q: %w", name, ErrNotFound)
	}
	v := Volume{Name: name, Path: s.path(name), Driver: "local"}
	file := filepath.Join(s.dir(name), "volume.json")
	content, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return v, nil
	}
	if err != nil {
		return Volume{}, fmt.Errorf("cannot read volume %q: %w", name, err)
	}
	var r record
	if err := json.Unmarshal(content, &r); err != nil {
		return Volume{}, fmt.Errorf("cannot read volume %q: %s is damaged (%w): without that file it is a volume without options", name, file, err)
	}
	if r.Version != 1 {
		return Volume{}, fmt.Errorf("cannot read volume %q: %s has version %d, newer than this program", name, file, r.Version)
	}
	v.Options, v.Labels, v.Created = r.Options, r.Labels, r.Created
	return v, nil
}

// List gives the volumes sorted by name. One that cannot be read does not hide the others: they come with the error.
func (s *Store) List() ([]Volume, error) {
	entries, err := os.ReadDir(s.root)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("cannot list volumes: %w", err)
	}
	var volumes []Volume
	var failed []error
	for _, entry := range entries {
		if !entry.IsDir() || CheckName(entry.Name()) != nil {
			continue
		}
		v, err := s.Inspect(entry.Name())
		if err != nil {
			failed = append(failed, err)
			continue
		}
		volumes = append(volumes, v)
	}
	return volumes, errors.Join(failed...)
}

// Root is the folder that volumes are in.
func (s *Store) Root() string { return s.root }

// dir is a volume's directory, path its content. The name has been checked.
func (s *Store) dir(name string) string  { return filepath.Join(s.root, name) }
func (s *Store) path(name string) string { return filepath.Join(s.root, name, "_data") }
