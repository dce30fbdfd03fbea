package image

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/sirupsen/logrus"
	"go.podman.io/image/v5/image"
	"go.podman.io/image/v5/manifest"
	"go.podman.io/image/v5/types"
	"go.podman.io/storage"
	"go.podman.io/storage/pkg/archive"
)

// link is a layer of an image on those below it.
type link struct {
	blob   types.BlobInfo
	diffID digest.Digest
	// id and parent are those in the store, as containers/image computes them: an ID names the content of the layer and of all
	// below it.
	id, parent string
}

// linksOf are the layers of an image, from the lowest one on, where all can be unpacked while they come.
func linksOf(ctx context.Context, l *layers) ([]link, error) {
	// storage.conf(5): layers are to be converted, which containers/image does.
	if strings.EqualFold(l.store.PullOptions()["convert_images"], "true") {
		return nil, nil
	}
	source, err := l.source.NewImageSource(ctx, l.sys)
	if err != nil {
		return nil, err
	}
	img, err := image.FromSource(ctx, l.sys, source)
	if err != nil {
		source.Close()
		return nil, err
	}
	defer img.Close()
	config, err := img.OCIConfig(ctx)
	if err != nil {
		return nil, err
	}
	return links(img.LayerInfos(), config.RootFS.DiffIDs), nil
}

// links are layers where each is gzip, of which the configuration says what it holds.
func links(blobs []types.BlobInfo, diffIDs []digest.Digest) []link {
	if len(blobs) != len(diffIDs) {
		return nil
	}
	var all []link
	parent := ""
	for i, blob := range blobs {
		gzipped := blob.MediaType == v1.MediaTypeImageLayerGzip || blob.MediaType == manifest.DockerV2Schema2LayerMediaType
		known := diffIDs[i].Validate() == nil && diffIDs[i].Algorithm() == digest.Canonical
		if !gzipped || !known || blob.Digest.Validate() != nil || blob.Size < 0 {
			return nil
		}
		id := diffIDs[i].Encoded()
		if parent != "" {
			id = digest.Canonical.FromString(parent + "+" + id).Encoded()
		}
		all = append(all, link{blob, diffIDs[i], id, parent})
		parent = id
	}
	return all
}

// unpack unpacks layers one after another, as they come, and leaves the rest where one cannot be.
func unpack(ctx context.Context, l *layers, links []link) {
	left := false
	for i, k := range links {
		a := l.await(k.blob.Digest)
		if a == nil {
			left = true // the copy failed, and says why
			break
		}
		if err := unpackLayer(ctx, l, k, a); err != nil {
			logrus.Debugf("layer %s is left to containers/image: %v", k.blob.Digest, err)
			left = true
			break
		}
		// A layer may come twice in an image.
		if a.in != nil && !slices.ContainsFunc(links[i+1:], func(k2 link) bool { return k2.blob.Digest == k.blob.Digest }) {
			a.in.close()
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left = l.left || left
	for _, a := range l.blobs {
		if a.in != nil {
			a.in.fail(errLeft)
			a.in.close()
		}
	}
}

// unpackLayer makes a layer of what came of its blob.
func unpackLayer(ctx context.Context, l *layers, k link, a *arrival) error {
	_, err := l.store.Layer(k.id)
	exists := err == nil
	if a.there {
		if exists {
			return nil
		}
		return repeatLayer(ctx, l, k)
	}
	tar, err := gzip.NewReader(bufio.NewReaderSize(&spoolReader{ctx: ctx, spool: a.in}, 1<<20))
	if err != nil {
		return err
	}
	proven := prove(tar, k.diffID)
	if exists {
		// Of another blob. That this one has the same content is found out all the same, for the cache.
		_, err = io.Copy(io.Discard, proven)
	} else {
		err = putLayer(l, k, &storage.LayerOptions{OriginalDigest: k.blob.Digest, OriginalSize: &k.blob.Size}, proven)
	}
	if err != nil {
		return err
	}
	a.cache.RecordDigestUncompressedPair(k.blob.Digest, k.diffID)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unpacked[k.blob.Digest] = true
	if l.progress != nil {
		l.progress(Progress{Blob: k.blob.Digest.String(), Done: k.blob.Size, Total: k.blob.Size, Complete: true})
	}
	return nil
}

// putLayer stores a layer. containers-storage does so outside of its locks up to the last moment, so that a slow registry
// holds up nobody. It is told the digests, and computes none.
func putLayer(l *layers, k link, options *storage.LayerOptions, tar io.Reader) error {
	options.UncompressedDigest = k.diffID
	_, _, err := l.store.PutLayer(k.id, k.parent, nil, "", false, options, tar)
	if errors.Is(err, storage.ErrDuplicateID) {
		// Another process was faster; what is left of the tar still has to prove what it is.
		_, err = io.Copy(io.Discard, tar)
	}
	return err
}

// repeatLayer makes a layer whose content the store has on other layers, as images share layers that add an empty folder.
func repeatLayer(ctx context.Context, l *layers, k link) error {
	found, err := l.store.LayersByUncompressedDigest(k.diffID)
	if err != nil {
		return err
	}
	plain := archive.Uncompressed
	diff, err := l.store.Diff("", found[0].ID, &storage.DiffOptions{Compression: &plain})
	if err != nil {
		return err
	}
	// Diff holds a lock until it is closed that PutLayer wants too.
	in, err := newSpool(l.folder())
	if err != nil {
		diff.Close()
		return err
	}
	defer in.close()
	err = in.fill(diff, -1)
	if err = errors.Join(err, diff.Close()); err != nil {
		return err
	}
	options := storage.LayerOptions{OriginalDigest: k.diffID}
	if found[0].CompressedDigest == k.blob.Digest && found[0].CompressedSize > 0 {
		options.OriginalDigest, options.OriginalSize = k.blob.Digest, &found[0].CompressedSize
	}
	if err := putLayer(l, k, &options, &spoolReader{ctx: ctx, spool: in}); err != nil {
		return fmt.Errorf("cannot repeat layer %s: %w", found[0].ID, err)
	}
	return nil
}
