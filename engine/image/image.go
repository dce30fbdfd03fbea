// Package image is the images of the machine: resolved, pulled, listed, saved, loaded and removed.
//
// The store is containers-storage with native overlay, the one podman and buildah use: what they pulled is here,
// and what is pulled here is theirs. Where things come from is decided by the files they obey too: storage.conf,
// registries.conf, policy.json and auth.json, at the places containers-storage.conf(5), containers-registries.conf(5),
// containers-policy.json(5) and containers-auth.json(5) name, and at CONTAINERS_STORAGE_CONF and its like.
//
// Unpacking a layer re-executes the program: its main must call go.podman.io/storage/pkg/reexec.Init first and
// return when that returns true.
package image

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"go.podman.io/common/libimage"
	"go.podman.io/common/pkg/auth"
	"go.podman.io/image/v5/types"
	"go.podman.io/storage"
	storagetypes "go.podman.io/storage/types"
)

// ErrNotFound is wrapped by errors about an image that is not in the store.
var ErrNotFound = errors.New("no such image")

// Config says where the store is. Its zero value is the store podman uses.
type Config struct {
	// GraphRoot is where images and root filesystems are kept; "" is what storage.conf says, else
	// /var/lib/containers/storage.
	GraphRoot string
	// RunRoot is where mounts are remembered until a reboot; "" is what storage.conf says, else /run/containers/storage.
	RunRoot string
	// AuthFile holds registry credentials; "" is REGISTRY_AUTH_FILE, else the default of containers-auth.json(5).
	AuthFile string
	// OneOwner stores files of any owner as this process's, which has no other IDs to give (lchown(2)).
	OneOwner bool
	// Now dates pulls; nil is time.Now.
	Now func() time.Time
}

// Store is the images of the machine. Its methods may be used from many goroutines, and beside other processes.
type Store struct {
	storage storage.Store
	sys     types.SystemContext
	now     func() time.Time
	flights flights
}

// storeOptions are those of storage.conf and its variables.
//
// The overlay driver is used unless they say otherwise: the driver of last resort (vfs) copies every layer for every
// container, and no machine should slip into that unseen.
func storeOptions() (storage.StoreOptions, error) {
	options, err := storagetypes.DefaultStoreOptions()
	if err != nil {
		return options, fmt.Errorf("cannot read storage.conf: %w", err)
	}
	if options.GraphDriverName == "" && len(options.GraphDriverPriority) == 0 {
		options.GraphDriverName = "overlay"
	}
	return options, nil
}

// Open opens the store, making its directories where they are missing.
func Open(config Config) (*Store, error) {
	options, err := storeOptions()
	if err != nil {
		return nil, err
	}
	if config.GraphRoot != "" {
		options.GraphRoot = config.GraphRoot
	}
	if config.RunRoot != "" {
		options.RunRoot = config.RunRoot
	}
	// Containers are recorded as volatile, which saves fsyncs (see engine/rootfs), but their mounts must not be:
	// fsync(2) in a container has to mean it.
	options.DisableVolatile = true
	if config.OneOwner {
		options.GraphDriverOptions = append(options.GraphDriverOptions, options.GraphDriverName+".ignore_chown_errors=true")
	}
	opened, err := storage.GetStore(options)
	if err != nil {
		return nil, fmt.Errorf("cannot open image store %q: %w", options.GraphRoot, err)
	}
	store := &Store{storage: opened, now: config.Now}
	if store.now == nil {
		store.now = time.Now
	}
	store.sys.AuthFilePath = config.AuthFile
	if store.sys.AuthFilePath == "" {
		store.sys.AuthFilePath = auth.GetDefaultAuthFile()
	}
	if config.GraphRoot != "" {
		// A store of its own does not share what it knows of blobs with the machine's.
		store.sys.BlobInfoCacheDir = filepath.Join(options.GraphRoot, "cache")
	}
	return store, nil
}

// Storage is the containers-storage store below, for root filesystems and builds.
func (s *Store) Storage() storage.Store { return s.storage }

// Close lets go of the store. Mounts of containers stay: they outlive the process. It need not be called.
func (s *Store) Close() {
	s.storage.Free()
}

// System is what containers/image is told for an operation that copies images. It is read anew each time, so that
// a policy.json that came in between is obeyed.
func (s *Store) System() (*types.SystemContext, error) {
	sys := s.sys
	path, err := policyPath(s.storage.RunRoot())
	if err != nil {
		return nil, err
	}
	sys.SignaturePolicyPath = path
	return &sys, nil
}

// library is libimage over the store, for archives.
func (s *Store) library() (*libimage.Runtime, error) {
	sys, err := s.System()
	if err != nil {
		return nil, err
	}
	return libimage.RuntimeFromStore(s.storage, &libimage.RuntimeOptions{SystemContext: sys})
}
