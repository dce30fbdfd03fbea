package image

import (
	"context"
	"io"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"
	"go.podman.io/storage"
)

// layerStore has layers by the digest of their blob.
type layerStore struct {
	storage.Store
	mu     sync.Mutex
	layers map[digest.Digest]bool
}

func (s *layerStore) LayersByCompressedDigest(d digest.Digest) ([]storage.Layer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.layers[d] {
		return make([]storage.Layer, 1), nil
	}
	return nil, storage.ErrLayerUnknown
}

func (s *layerStore) PutLayer(id, _ string, _ []string, _ string, _ bool, _ *storage.LayerOptions, _ io.Reader) (*storage.Layer, int64, error) { //nolint:revive // storage.Store's
	s.mu.Lock()
	defer s.mu.Unlock()
	s.layers[digest.Digest(id)] = true
	return nil, 0, nil
}

// TestFlights has a layer fetched once that two pulls want, again when the first of them fails, and lets none wait in a circle.
func TestFlights(t *testing.T) {
	store := &layerStore{layers: map[digest.Digest]bool{}}
	var all flights
	has := func(f *flight, d digest.Digest) bool {
		layers, _ := f.LayersByCompressedDigest(d)
		return len(layers) > 0
	}
	ask := func(f *flight, d digest.Digest) <-chan bool {
		answer := make(chan bool, 1)
		go func() { answer <- has(f, d) }()
		return answer
	}
	waits := func(f *flight) {
		for {
			all.mu.Lock()
			now := f.waits
			all.mu.Unlock()
			if now {
				return
			}
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	one, two, three := all.begin(ctx, store), all.begin(ctx, store), all.begin(ctx, store)
	if has(one, "base") || has(two, "own") {
		t.Error("a layer is there that nobody fetched")
	}
	answer := ask(two, "base")
	waits(two)
	// Two has what one wants now, and waits for one: it is not waited for.
	if has(one, "own") {
		t.Error("a layer is there that is being fetched")
	}
	if _, _, err := one.PutLayer("other", "", nil, "", false, nil, nil); err != nil {
		t.Fatal(err)
	}
	if _, _, err := one.PutLayer("base", "", nil, "", false, nil, nil); err != nil {
		t.Fatal(err)
	}
	if !<-answer {
		t.Error("the layer that another pull fetched is not there")
	}
	// One that fails leaves its layer to the next.
	if has(one, "broken") {
		t.Error("a layer is there that nobody fetched")
	}
	answer = ask(three, "broken")
	waits(three)
	one.end()
	if <-answer {
		t.Error("a layer is there that failed")
	}
	answer = ask(two, "broken")
	waits(two)
	cancel()
	if <-answer {
		t.Error("a layer is there that nobody fetched")
	}
	two.end()
	three.end()
	if len(all.by) != 0 {
		t.Errorf("left: %v", all.by)
	}
}
