package image

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"sync"

	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/copy"
	"go.podman.io/image/v5/types"
	"go.podman.io/storage"
)

// errLeft ends the copy of the layers where one could not be unpacked: it and those above are left to the copy of the image.
var errLeft = errors.New("the layer is left to the copy of the image")

// layers is a place for the layers of an image alone. It unpacks each in one pass, while it comes. containers/image decompresses every
// layer twice, to know its diff ID before it unpacks it, and unpacking begins when all of it is there.
//
// Whatever it cannot do (layers that are not gzip, no diff IDs, one that is not what the configuration claims, one that
// does not go into the store) it leaves: the copy of the image that follows finds in the store what is there,
// and brings what is not in the ordinary way. So it is about speed only.
type layers struct {
	// ImageReference is the image's in the store, and store what it is in.
	types.ImageReference
	store    storage.Store
	source   types.ImageReference
	sys      *types.SystemContext
	progress func(Progress)

	mu sync.Mutex
	// Under the lock: what became of each blob of the chain, in links once it is asked for; unpacked are the blobs of layers
	// that were; left says that the rest is not for us, and ended that no more blobs come.
	links    []link
	blobs    map[digest.Digest]*arrival
	unpacked map[digest.Digest]bool
	left     bool
	ended    bool
	changed  *sync.Cond
}

// arrival is what becomes of a blob that was asked for: it is there, in the store, or comes in.
type arrival struct {
	there bool
	in    *spool
	cache types.BlobInfoCache
}

// copyLayers brings layers into the store, under the signature policy, and says which. What it leaves is no error.
func copyLayers(ctx context.Context, l *layers) error {
	l.blobs, l.unpacked = map[digest.Digest]*arrival{}, map[digest.Digest]bool{}
	l.changed = sync.NewCond(&l.mu)
	// The manifest is not stored here, so that its signatures are not either; streams come as they are.
	options := copy.Options{SourceCtx: l.sys, DestinationCtx: l.sys, RemoveSignatures: true, PreserveDigests: true}
	var progress func(Progress)
	if l.progress != nil {
		progress = l.coming
	}
	err := copyImage(ctx, l, l.source, &options, progress)
	if errors.Is(err, errLeft) {
		return nil
	}
	return err
}

// coming passes on how blobs come. That one is complete is said when it is unpacked, or by the copy of the image.
func (l *layers) coming(p Progress) {
	if p.Complete {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.progress(p)
}

// storing passes on how the image is stored; the layers that were unpacked have been said.
func (l *layers) storing(p Progress) {
	if !p.Present || !l.unpacked[digest.Digest(p.Blob)] {
		l.progress(p)
	}
}

// folder is where blobs are while they come: where containers/image keeps large files.
func (l *layers) folder() string { return cmp.Or(l.sys.BigFilesTemporaryDir, "/var/tmp") }

// wants says whether a blob is to come: it is one of the links', and was not asked for yet.
func (l *layers) wants(id digest.Digest) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.left && l.blobs[id] == nil && slices.ContainsFunc(l.links, func(k link) bool { return k.blob.Digest == id })
}

// comes notes what becomes of a blob of a link, and gives its size; not where the blob is nobody's, or all that is missing is left.
func (l *layers) comes(id digest.Digest, a arrival) (size int64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.links, func(k link) bool { return k.blob.Digest == id })
	if i < 0 || l.left {
		return 0, false
	}
	l.blobs[id] = &a
	l.changed.Broadcast()
	return l.links[i].blob.Size, true
}

// await gives what became of a blob; nil where nothing will.
func (l *layers) await(id digest.Digest) *arrival {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		if a := l.blobs[id]; a != nil && (a.there || a.in != nil) {
			return a
		}
		if l.ended {
			return nil
		}
		l.changed.Wait()
	}
}

// whole says that every layer is in the store.
func (l *layers) whole() bool { return len(l.links) > 0 && !l.left }

// NewImageDestination is for containers/image.
func (l *layers) NewImageDestination(ctx context.Context, sys *types.SystemContext) (types.ImageDestination, error) {
	stored, err := l.ImageReference.NewImageDestination(ctx, sys)
	if err != nil {
		return nil, err
	}
	return &layersDestination{ImageDestination: stored, layers: l}, nil
}

// layersDestination is one while it is written to. The destination in it is asked what the store has, and nothing is put there.
type layersDestination struct {
	types.ImageDestination
	layers *layers
	// asking is held while the store is asked: a pull waits for one layer of another at a time (see flight).
	asking sync.Mutex
	begin  sync.Once
	done   sync.WaitGroup
}

// HasThreadSafePutBlob is true.
func (d *layersDestination) HasThreadSafePutBlob() bool { return true }

// begins unpacking, with the first layer that is asked for: now the policy has been asked.
func (d *layersDestination) begins(ctx context.Context) {
	d.begin.Do(func() {
		links, err := linksOf(ctx, d.layers)
		d.layers.mu.Lock()
		defer d.layers.mu.Unlock()
		d.layers.links, d.layers.left = links, err != nil || len(links) == 0
		d.done.Go(func() { unpack(ctx, d.layers, links) })
	})
}

// TryReusingBlob has those layers fetched that are missing and can be unpacked.
func (d *layersDestination) TryReusingBlob(ctx context.Context, info types.BlobInfo, cache types.BlobInfoCache, _ bool) (bool, types.BlobInfo, error) {
	d.begins(ctx)
	d.asking.Lock()
	defer d.asking.Unlock()
	same := types.BlobInfo{Digest: info.Digest, Size: info.Size}
	if !d.layers.wants(info.Digest) {
		return true, same, nil
	}
	there, _, err := d.ImageDestination.TryReusingBlob(ctx, info, cache, false)
	if err != nil {
		return false, types.BlobInfo{}, err
	}
	d.layers.comes(info.Digest, arrival{there: there, cache: cache})
	return there, same, nil
}

// PutBlob takes a layer.
func (d *layersDestination) PutBlob(ctx context.Context, stream io.Reader, info types.BlobInfo, cache types.BlobInfoCache, isConfig bool) (types.BlobInfo, error) {
	if isConfig {
		_, err := io.Copy(io.Discard, stream)
		return info, err
	}
	in, err := newSpool(d.layers.folder())
	if err != nil {
		return types.BlobInfo{}, err
	}
	size, ok := d.layers.comes(info.Digest, arrival{in: in, cache: cache})
	if !ok {
		in.close()
		return types.BlobInfo{}, errLeft
	}
	if err := in.fill(stream, size); err != nil {
		return types.BlobInfo{}, err
	}
	return types.BlobInfo{Digest: info.Digest, Size: size}, nil
}

// PutManifest is for the copy of the image.
func (d *layersDestination) PutManifest(context.Context, []byte, *digest.Digest) error { return nil }

// Commit returns when all is unpacked.
func (d *layersDestination) Commit(context.Context, types.UnparsedImage) error {
	d.end()
	return nil
}

// Close ends unpacking.
func (d *layersDestination) Close() error {
	d.end()
	return d.ImageDestination.Close()
}

// end waits until what has come is unpacked. Where a blob failed, or ctx ended, that is soon.
func (d *layersDestination) end() {
	d.layers.mu.Lock()
	d.layers.ended = true
	d.layers.changed.Broadcast()
	d.layers.mu.Unlock()
	d.done.Wait()
}
