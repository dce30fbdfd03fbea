package image

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/pcompose/pcompose/pod"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/storage"
	"go.podman.io/storage/pkg/archive"
)

// Commit is a container to be made an image.
type Commit struct {
	// ID is the container's in the store, Container what it was made from: the image is configured as it is.
	ID        string
	Container pod.Container
	// CreatedBy is what it runs, for the history.
	CreatedBy string
	// Name of the image, with its tag; "" for none.
	Name string
	// Author and Comment go into the image and its history.
	Author, Comment string
	// Changes are instructions as in a Containerfile: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, ONBUILD, STOPSIGNAL, USER,
	// VOLUME, WORKDIR.
	Changes []string
	At      time.Time
}

// Into makes an image in a store, of a container's image and what the container has written to its root, and gives its ID. What a
// killed call leaves is at most a layer that no image has, which a prune takes.
func (c Commit) Into(s *Store) (id string, err error) {
	var name string
	if c.Name != "" {
		full, err := reference.ParseNormalizedNamed(c.Name)
		if err != nil {
			return "", fmt.Errorf("cannot commit to %q: %w", c.Name, err)
		}
		if _, digested := full.(reference.Digested); digested {
			return "", fmt.Errorf("cannot commit to %q: a digest is no name to give: say a tag", c.Name)
		}
		name = reference.TagNameOnly(full).String()
	}
	change, err := parseChanges(c.Changes)
	if err != nil {
		return "", fmt.Errorf("cannot commit: %w", err)
	}
	container, err := s.storage.Container(c.ID)
	if err != nil {
		return "", fmt.Errorf("cannot commit: %w", err)
	}
	blob, err := configBlob(s.storage, container.ImageID)
	if err != nil {
		return "", fmt.Errorf("cannot commit: %w", err)
	}
	layer, err := putDiff(s, container.LayerID)
	if err != nil {
		return "", fmt.Errorf("cannot commit what the container has written: %w", err)
	}
	config, err := committed(blob, c, layer.UncompressedDigest, change)
	if err == nil {
		id, err = putImage(s.storage, layer, config, c.At)
	}
	if err != nil {
		return "", errors.Join(fmt.Errorf("cannot commit: %w", err), s.storage.DeleteLayer(layer.ID))
	}
	if name != "" {
		if err := s.storage.AddNames(id, []string{name}); err != nil {
			return "", fmt.Errorf("cannot name the image %q: %w", c.Name, err)
		}
	}
	return id, nil
}

// putDiff stores what a container's layer changes as a layer over the image's.
func putDiff(s *Store, of string) (*storage.Layer, error) {
	top, err := s.storage.Layer(of)
	if err != nil {
		return nil, err
	}
	library, err := s.library()
	if err != nil {
		return nil, err
	}
	spool, err := os.CreateTemp(library.SystemContext().BigFilesTemporaryDir, "pcompose-commit-*.tar")
	if err != nil {
		return nil, err
	}
	defer spool.Close()
	if err := os.Remove(spool.Name()); err != nil { // a SIGKILL leaves nothing of it
		return nil, err
	}
	plain := archive.Uncompressed
	// The store is locked while a diff is read: nothing can be put into it meanwhile.
	diff, err := s.storage.Diff("", of, &storage.DiffOptions{Compression: &plain})
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(spool, diff)
	if err = errors.Join(err, diff.Close()); err != nil {
		return nil, err
	}
	if _, err := spool.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	layer, _, err := s.storage.PutLayer("", top.Parent, nil, "", false, nil, spool)
	return layer, err
}

// putImage stores an OCI image of a chain of layers, all of them uncompressed.
func putImage(store storage.Store, top *storage.Layer, config []byte, at time.Time) (string, error) {
	m := v1.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest, Config: v1.Descriptor{
		MediaType: v1.MediaTypeImageConfig, Digest: digest.FromBytes(config), Size: int64(len(config)),
	}}
	for l := top; ; {
		m.Layers = append(m.Layers, v1.Descriptor{MediaType: v1.MediaTypeImageLayer, Digest: l.UncompressedDigest, Size: l.UncompressedSize})
		if l.Parent == "" {
			break
		}
		below, err := store.Layer(l.Parent)
		if err != nil {
			return "", err
		}
		l = below
	}
	slices.Reverse(m.Layers)
	text, err := json.Marshal(m)
	if err != nil {
		return "", err
	}
	sum := digest.FromBytes(text)
	img, err := store.CreateImage(m.Config.Digest.Encoded(), nil, top.ID, "", &storage.ImageOptions{
		CreationDate: at, Digest: sum,
		BigData: []storage.ImageBigDataOption{
			{Key: m.Config.Digest.String(), Data: config, Digest: m.Config.Digest},
			{Key: storage.ImageDigestManifestBigDataNamePrefix + "-" + sum.String(), Data: text, Digest: sum},
			{Key: storage.ImageDigestBigDataKey, Data: text, Digest: sum},
		},
	})
	if err != nil {
		return "", err
	}
	return img.ID, nil
}
