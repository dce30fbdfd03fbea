package image

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.podman.io/storage"
)

// Summary is an image in the store.
type Summary struct {
	ID string
	// Names are its full names, newest first; none when it is dangling.
	Names []string
	// Digest is its manifest's.
	Digest  string
	Created time.Time
	// Size is the bytes of its unpacked layers, those shared with other images included.
	Size int64
	// Containers are the names of containers made from it, podman's too, sorted.
	Containers []string
}

// Detail is an image with what is in it.
type Detail struct {
	Summary
	Config RunConfig
	// Layers are the digests of its unpacked layers, lowest first.
	Layers []string
}

// List gives the images of the store, sorted by creation, newest first.
func (s *Store) List() ([]Summary, error) {
	images, err := s.storage.Images()
	if err != nil {
		return nil, fmt.Errorf("cannot list images: %w", err)
	}
	layers, err := layersOf(s.storage)
	if err != nil {
		return nil, err
	}
	users, err := usersOf(s.storage)
	if err != nil {
		return nil, err
	}
	var list []Summary
	for _, img := range images {
		list = append(list, summarize(img, layers, users))
	}
	slices.SortFunc(list, func(a, b Summary) int {
		if c := b.Created.Compare(a.Created); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return list, nil
}

// Inspect tells about one image; the reference is as Lookup takes it.
func (s *Store) Inspect(ref string) (Detail, error) {
	img, err := s.find(ref)
	if err != nil {
		return Detail{}, err
	}
	layers, err := layersOf(s.storage)
	if err != nil {
		return Detail{}, err
	}
	users, err := usersOf(s.storage)
	if err != nil {
		return Detail{}, err
	}
	config, err := s.Config(img.ID)
	if err != nil {
		return Detail{}, err
	}
	detail := Detail{Summary: summarize(*img, layers, users), Config: config}
	for _, layer := range chain(img.TopLayer, layers) {
		detail.Layers = append(detail.Layers, layer.UncompressedDigest.String())
	}
	slices.Reverse(detail.Layers)
	return detail, nil
}

func summarize(img storage.Image, layers map[string]storage.Layer, users map[string][]string) Summary {
	summary := Summary{
		ID: img.ID, Names: img.Names, Digest: img.Digest.String(), Created: img.Created, Containers: users[img.ID],
	}
	for _, layer := range chain(img.TopLayer, layers) {
		summary.Size += max(layer.UncompressedSize, 0)
	}
	return summary
}

// layersOf are all layers of a store, read once: each question about a single one takes the store's lock.
func layersOf(store storage.Store) (map[string]storage.Layer, error) {
	all, err := store.Layers()
	if err != nil {
		return nil, fmt.Errorf("cannot list layers: %w", err)
	}
	layers := make(map[string]storage.Layer, len(all))
	for _, layer := range all {
		layers[layer.ID] = layer
	}
	return layers, nil
}

// chain is a layer and those below it, top first.
func chain(top string, layers map[string]storage.Layer) []storage.Layer {
	var chain []storage.Layer
	for layer, ok := layers[top]; ok; layer, ok = layers[layer.Parent] {
		chain = append(chain, layer)
	}
	return chain
}

// usersOf are the names of containers by the ID of their image, sorted.
func usersOf(store storage.Store) (map[string][]string, error) {
	containers, err := store.Containers()
	if err != nil {
		return nil, fmt.Errorf("cannot list containers: %w", err)
	}
	users := map[string][]string{}
	for _, c := range containers {
		name := shortID(c.ID)
		if len(c.Names) > 0 {
			name = c.Names[0]
		}
		users[c.ImageID] = append(users[c.ImageID], name)
	}
	for _, names := range users {
		slices.Sort(names)
	}
	return users, nil
}
