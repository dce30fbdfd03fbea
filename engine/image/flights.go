package image

import (
	"context"
	"io"
	"sync"

	"github.com/opencontainers/go-digest"
	"go.podman.io/storage"
)

// flights are the layers that pulls of this process are fetching. Images of one base that are pulled at once would each fetch and
// unpack it: containers/image looks for a layer in the store only.
type flights struct {
	mu sync.Mutex
	// by is whose a layer is, by the digest of its blob.
	by map[digest.Digest]*flight
}

// flight is the store as one pull sees it.
type flight struct {
	storage.Store
	all *flights
	// cancelled ends waiting.
	cancelled <-chan struct{}
	// Under the lock of all: landed is closed, and another takes its place, when a layer came or the pull ended; waits says that
	// the pull waits for another's layer.
	landed chan struct{}
	waits  bool
}

// begin is a store for one pull; end must be called when it is over.
func (f *flights) begin(ctx context.Context, store storage.Store) *flight {
	return &flight{Store: store, all: f, cancelled: ctx.Done(), landed: make(chan struct{})}
}

// LayersByCompressedDigest is what a pull asks before it fetches a layer: one that another pull is fetching is waited for. A pull that
// waits itself is not waited for, so that none waits in a circle: two images may have the same layers in another order.
func (f *flight) LayersByCompressedDigest(d digest.Digest) ([]storage.Layer, error) {
	for {
		layers, err := f.Store.LayersByCompressedDigest(d)
		if len(layers) > 0 {
			return layers, err
		}
		landed := f.take(d)
		if landed == nil {
			return layers, err
		}
		select {
		case <-landed:
		case <-f.cancelled:
			return layers, err // the copy sees it itself
		}
		f.all.mu.Lock()
		f.waits = false
		f.all.mu.Unlock()
	}
}

// take makes a layer this pull's to fetch, or gives what to wait for.
func (f *flight) take(d digest.Digest) <-chan struct{} {
	f.all.mu.Lock()
	defer f.all.mu.Unlock()
	holder := f.all.by[d]
	switch {
	case holder == nil:
		if f.all.by == nil {
			f.all.by = map[digest.Digest]*flight{}
		}
		f.all.by[d] = f
		return nil
	case holder == f || holder.waits:
		return nil
	}
	f.waits = true
	return holder.landed
}

// PutLayer stores a layer.
func (f *flight) PutLayer(id, parent string, names []string, label string, writable bool, options *storage.LayerOptions, diff io.Reader) (*storage.Layer, int64, error) { //nolint:revive // storage.Store's
	layer, size, err := f.Store.PutLayer(id, parent, names, label, writable, options, diff)
	f.land(func(d digest.Digest) bool {
		found, _ := f.Store.LayersByCompressedDigest(d)
		return len(found) > 0
	})
	return layer, size, err
}

// end gives up what was not fetched.
func (f *flight) end() { f.land(func(digest.Digest) bool { return true }) }

// land lets go of layers, and wakes who waits for one of this pull's.
func (f *flight) land(gone func(digest.Digest) bool) {
	f.all.mu.Lock()
	defer f.all.mu.Unlock()
	for d, holder := range f.all.by {
		if holder == f && gone(d) {
			delete(f.all.by, d)
		}
	}
	close(f.landed)
	f.landed = make(chan struct{})
}
