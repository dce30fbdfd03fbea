package image

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pcompose/pcompose/pod"
	"go.podman.io/image/v5/docker/reference"
	imagestorage "go.podman.io/image/v5/storage"
	"go.podman.io/storage"
)

// Lookup finds an image in the store by a reference as written: a name, short or full, with a tag or digest, or an
// ID or a unique prefix of it. It reads the disk only. An image that is not there is ErrNotFound.
func (s *Store) Lookup(ref string) (pod.Image, error) {
	found, err := s.find(ref)
	if err != nil {
		return pod.Image{}, err
	}
	config, err := s.Config(found.ID)
	if err != nil {
		return pod.Image{}, err
	}
	return pod.Image{ID: found.ID, Listens: config.Listens}, nil
}

// find is Lookup down to the stored record.
func (s *Store) find(ref string) (*storage.Image, error) {
	if id, ok := strings.CutPrefix(ref, "sha256:"); ok {
		return findID(s.storage, ref, id)
	}
	names, err := localNames(&s.sys, ref)
	if err != nil {
		// A whole ID is no valid name to the reference grammar, so that it cannot be mistaken for one.
		if isHex(ref) {
			return findID(s.storage, ref, ref)
		}
		return nil, fmt.Errorf("image reference %q is not valid: %w", ref, err)
	}
	for _, name := range names {
		found, err := findName(s.storage, name)
		if err == nil {
			return found, nil
		}
		if !errors.Is(err, storage.ErrImageUnknown) && !errors.Is(err, imagestorage.ErrNoSuchImage) {
			return nil, fmt.Errorf("cannot look up image %q: %w", ref, err)
		}
	}
	if len(ref) >= 4 && isHex(ref) {
		return findID(s.storage, ref, ref)
	}
	return nil, fmt.Errorf("image %q: %w", ref, ErrNotFound)
}

// findName finds a full name. One with a digest goes through containers/image, which knows the digests of the
// manifests, and of the lists they were chosen from.
func findName(store storage.Store, name reference.Named) (*storage.Image, error) {
	if _, digested := name.(reference.Digested); !digested {
		return store.Image(name.String())
	}
	ref, err := imagestorage.Transport.NewStoreReference(store, name, "")
	if err != nil {
		return nil, err
	}
	_, found, err := imagestorage.ResolveReference(ref)
	return found, err
}

// findID finds an ID or a unique prefix of one.
func findID(store storage.Store, ref, id string) (*storage.Image, error) {
	if !isHex(id) {
		return nil, fmt.Errorf("image ID %q is not valid", ref)
	}
	found, err := store.Image(id)
	if errors.Is(err, storage.ErrImageUnknown) {
		return nil, fmt.Errorf("image %q: %w", ref, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot look up image %q: %w", ref, err)
	}
	return found, nil
}

func isHex(s string) bool {
	return s != "" && strings.Trim(s, "0123456789abcdef") == ""
}
