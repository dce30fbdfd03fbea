// Package rootfs is the root filesystems of containers: a writable layer over an image, mounted by overlay.
//
// Each is a container of containers-storage, so that podman and buildah see its layers in use and never prune them.
//
// # What a crash may take
//
// containers-storage would fsync(2) its records four times for each container made and three times for each removed.
// Records are therefore made "volatile", which writes them without fsync, in the same directory: they live through
// reboots, and through the death of any process. Only a power cut within seconds could take them, so [Roots.Sync]
// makes them durable once for all containers of an `up`. Overlay mounts are never volatile: fsync(2) inside a container
// reaches the disk. (podman uses volatile records for `run --rm` only, and mounts those volatile too.)
package rootfs

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.podman.io/storage"
	"go.podman.io/storage/pkg/idtools"
	"go.podman.io/storage/types"
)

// Roots are the root filesystems in one store. Its methods may be used from many goroutines, and beside other
// processes: containers-storage locks.
type Roots struct {
	store storage.Store
}

// New gives the root filesystems of a store that image.Open opened.
func New(store storage.Store) *Roots {
	return &Roots{store: store}
}

// Root is a root filesystem that pcompose made.
type Root struct {
	ID      string
	Name    string
	Project string
	ImageID string
	Created time.Time
}

// Options say more about a root to be made.
type Options struct {
	// Project it belongs to, kept with it for List.
	Project string
	// StorageOpt are the driver's options for the layer, as storage_opt has them: size.
	StorageOpt map[string]string
	// LabelOpts are SELinux options without "label=", as security_opt has them: disable, type:spc_t.
	LabelOpts []string
	// IDs of a user namespace of its own; nil is the caller's.
	IDs *IDs
}

// IDs are those of a container's user namespace.
type IDs struct {
	UIDs, GIDs []idtools.IDMap
	// Auto has the store choose ones that no other container has, Size many or, for 0, as many as the image needs.
	Auto bool
	Size uint32
}

// options are the store's words for it.
func (i *IDs) options() types.IDMappingOptions {
	if i == nil {
		return types.IDMappingOptions{HostUIDMapping: true, HostGIDMapping: true}
	}
	return types.IDMappingOptions{
		UIDMap: i.UIDs, GIDMap: i.GIDs, AutoUserNs: i.Auto, AutoUserNsOpts: types.AutoUserNsOptions{Size: i.Size},
	}
}

// IDs are the mappings that a container's root was made with, none for one in the caller's user namespace.
func (r *Roots) IDs(id string) (uids, gids []idtools.IDMap, err error) {
	c, err := r.store.Container(id)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read the IDs of container %.12s: %w", id, unknown(err))
	}
	return c.UIDMap, c.GIDMap, nil
}

// metadata marks what pcompose made. Its name in the store's records is the field's.
type metadata struct {
	// Pcompose is the version of this form.
	Pcompose int    `json:"pcompose"`
	Project  string `json:"project"`
	// Name and ImageName are as podman writes them, which shows them in `podman ps --external`.
	Name string `json:"name"`
}

// Create makes the root of container id over an image; nil means "it exists", not "this call made it". A name that
// another container of the store has, podman's too, is an error. What a call killed half way left is cleared by the
// next one with that id, or by Remove.
func (r *Roots) Create(id, name, imageID string, options Options) error {
	if !validID(id) {
		return fmt.Errorf("cannot make root of container %q: its ID %q is not 64 hexadecimal digits", name, id)
	}
	if whole, err := r.whole(id, name); err != nil || whole {
		return err
	}
	mark, err := json.Marshal(metadata{Pcompose: 1, Project: options.Project, Name: name})
	if err != nil {
		return fmt.Errorf("cannot make root of container %q: %w", name, err)
	}
	create := func() error {
		// The layer has the container's ID, so that one whose record was never written can be found.
		_, err := r.store.CreateContainer(id, []string{name}, imageID, id, string(mark), &storage.ContainerOptions{
			Volatile:   true,
			StorageOpt: options.StorageOpt,
			LabelOpts:  options.LabelOpts,
			// Left out it would mean that of the store, which storage.conf may set.
			IDMappingOptions: options.IDs.options(),
		})
		return err
	}
	err = create()
	if errors.Is(err, storage.ErrDuplicateID) {
		if _, known := r.store.Container(id); known == nil {
			return nil
		}
		if err = r.store.DeleteLayer(id); err == nil || errors.Is(err, storage.ErrLayerUnknown) {
			err = create()
		}
	}
	if errors.Is(err, storage.ErrDuplicateName) {
		// The name may be that of a root whose removal was killed.
		if other, gone := r.store.Container(name); gone == nil {
			if _, ours := describe(*other); ours {
				if whole, broken := r.whole(other.ID, name); broken == nil && !whole {
					err = create()
				}
			}
		}
	}
	switch {
	case errors.Is(err, storage.ErrDuplicateName):
		return fmt.Errorf("cannot make root of container %q: %s", name, r.owner(name))
	case errors.Is(err, storage.ErrImageUnknown):
		return fmt.Errorf("cannot make root of container %q: image %q is not in the store", name, imageID)
	case err != nil:
		return fmt.Errorf("cannot make root of container %q: %w", name, err)
	}
	return nil
}

// whole says whether a container has its record and its layer. A record alone is what a killed removal leaves: it is
// cleared, and so nothing is there.
func (r *Roots) whole(id, name string) (bool, error) {
	c, err := r.store.Container(id)
	if err != nil {
		return false, nil
	}
	if _, err := r.store.Layer(c.LayerID); !errors.Is(err, storage.ErrLayerUnknown) {
		return err == nil, err
	}
	if err := r.Remove(id); err != nil {
		return false, fmt.Errorf("cannot make root of container %q: %w", name, err)
	}
	return false, nil
}

// owner says who has a name.
func (r *Roots) owner(name string) string {
	other, err := r.store.Container(name)
	if err != nil {
		return "its name is taken"
	}
	root, ours := describe(*other)
	if !ours {
		return fmt.Sprintf("container %.12s, made by podman or another program, has its name", other.ID)
	}
	return fmt.Sprintf("container %.12s of project %q has its name", other.ID, root.Project)
}

// Exists says which of the IDs have a root, in the order asked. What a killed Create or Remove left is none.
func (r *Roots) Exists(ids []string) ([]bool, error) {
	all, err := r.store.Containers()
	if err != nil {
		return nil, fmt.Errorf("cannot list roots: %w", err)
	}
	layers, err := r.store.Layers()
	if err != nil {
		return nil, fmt.Errorf("cannot list roots: %w", err)
	}
	present := make(map[string]bool, len(layers))
	for _, layer := range layers {
		present[layer.ID] = true
	}
	known := make(map[string]bool, len(all))
	for _, c := range all {
		known[c.ID] = present[c.LayerID]
	}
	exist := make([]bool, len(ids))
	for i, id := range ids {
		exist[i] = known[id]
	}
	return exist, nil
}

// List gives the roots that pcompose made, of every project, sorted by name: what no state file knows is a leftover.
func (r *Roots) List() ([]Root, error) {
	all, err := r.store.Containers()
	if err != nil {
		return nil, fmt.Errorf("cannot list roots: %w", err)
	}
	var roots []Root
	for _, c := range all {
		if root, ours := describe(c); ours {
			roots = append(roots, root)
		}
	}
	slices.SortFunc(roots, func(a, b Root) int { return strings.Compare(a.Name+"\x00"+a.ID, b.Name+"\x00"+b.ID) })
	return roots, nil
}

func describe(c storage.Container) (root Root, ours bool) {
	var mark metadata
	if json.Unmarshal([]byte(c.Metadata), &mark) != nil || mark.Pcompose == 0 {
		return Root{}, false
	}
	return Root{ID: c.ID, Name: mark.Name, Project: mark.Project, ImageID: c.ImageID, Created: c.Created}, true
}

// Sync makes every root made or removed so far durable: one or two fsyncs for all of them, see the package's words.
func (r *Roots) Sync() error {
	driver := filepath.Join(r.store.GraphRoot(), r.store.GraphDriverName())
	for _, path := range []string{
		driver + "-layers/volatile-layers.json",
		driver + "-containers/volatile-containers.json",
	} {
		if err := syncFile(path); err != nil {
			return fmt.Errorf("cannot make roots durable: %w", err)
		}
	}
	return nil
}

// syncFile fsyncs a file and the directory entry that names it. One that is missing needs none.
func syncFile(path string) error {
	for _, p := range []string{path, filepath.Dir(path)} {
		f, err := os.Open(p)
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return err
		}
	}
	return nil
}

func validID(id string) bool {
	return len(id) == 64 && strings.Trim(id, "0123456789abcdef") == ""
}
