package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/copy"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/manifest"
	ociarchive "go.podman.io/image/v5/oci/archive"
	imagestorage "go.podman.io/image/v5/storage"
	"go.podman.io/image/v5/types"
)

// Blobs are what a layout has, by digest. Content is held against its digest by whoever reads it. A blob that is missing is
// an error that wraps fs.ErrNotExist.
type Blobs interface {
	Blob(id digest.Digest) (content io.ReadCloser, size int64, err error)
}

// Bring stores an image that Keep kept, for this machine's platform, and gives its ID. It is stored by its digest: no name of
// another image goes over to it. What is there already is not read. path is of the archive that has it, for the signature policy.
func Bring(ctx context.Context, s *Store, kept Kept, path string, blobs Blobs) (id string, err error) {
	name, err := reference.ParseNormalizedNamed(kept.Name)
	if err != nil {
		return "", fmt.Errorf("cannot load image %q: %w", kept.Name, err)
	}
	pinned, err := reference.WithDigest(reference.TrimNamed(name), kept.Descriptor.Digest)
	if err != nil {
		return "", fmt.Errorf("cannot load image %q: %w", kept.Name, err)
	}
	if img, err := findName(s.storage, pinned); err == nil {
		return img.ID, nil
	}
	sys, err := s.System()
	if err != nil {
		return "", err
	}
	archive, err := ociarchive.NewReference(path, "")
	if err != nil {
		return "", fmt.Errorf("cannot load image %q: %w", kept.Name, err)
	}
	target, err := imagestorage.Transport.NewStoreReference(s.storage, pinned, "")
	if err != nil {
		return "", fmt.Errorf("cannot load image %q: %w", kept.Name, err)
	}
	var stored types.ImageReference
	options := copy.Options{SourceCtx: sys, DestinationCtx: sys, PreserveDigests: true, ReportResolvedReference: &stored}
	if err := copyImage(ctx, target, &brought{archive, kept.Descriptor, blobs}, &options, nil); err != nil {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		return "", fmt.Errorf("cannot load image %q: %s", kept.Name, cause(err.Error()))
	}
	_, img, err := imagestorage.ResolveReference(stored)
	if err != nil {
		return "", fmt.Errorf("cannot load image %q: %w", kept.Name, err)
	}
	return img.ID, nil
}

// brought is an image of some blobs. It is an image of an archive to the signature policy.
type brought struct {
	types.ImageReference
	top   v1.Descriptor
	blobs Blobs
}

func (b *brought) NewImageSource(context.Context, *types.SystemContext) (types.ImageSource, error) {
	return &broughtSource{b}, nil
}

type broughtSource struct{ *brought }

func (s *broughtSource) Reference() types.ImageReference { return s.brought }

func (s *broughtSource) Close() error { return nil }

func (s *broughtSource) GetManifest(_ context.Context, instance *digest.Digest) ([]byte, string, error) {
	id, kind := s.top.Digest, s.top.MediaType
	if instance != nil {
		id, kind = *instance, ""
	}
	content, err := ReadBlob(s.blobs, id, maxManifest)
	if instance != nil && errors.Is(err, fs.ErrNotExist) {
		return nil, "", errors.New("it was saved for other platforms than this machine's")
	}
	if err != nil {
		return nil, "", err
	}
	if kind == "" {
		kind = manifest.GuessMIMEType(content)
	}
	return content, kind, nil
}

// GetBlob ignores URLs: a bundle fetches nothing from anywhere.
func (s *broughtSource) GetBlob(_ context.Context, info types.BlobInfo, _ types.BlobInfoCache) (io.ReadCloser, int64, error) {
	return s.blobs.Blob(info.Digest)
}

func (s *broughtSource) HasThreadSafeGetBlob() bool { return true }

func (s *broughtSource) GetSignatures(context.Context, *digest.Digest) ([][]byte, error) {
	return nil, nil
}

func (s *broughtSource) LayerInfosForCopy(context.Context, *digest.Digest) ([]types.BlobInfo, error) {
	return nil, nil
}

// ReadBlob is the content of a blob of at most limit bytes, held against its digest.
func ReadBlob(blobs Blobs, id digest.Digest, limit int64) ([]byte, error) {
	stream, size, err := blobs.Blob(id)
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	if size > limit {
		return nil, fmt.Errorf("%s is larger than %d bytes", id, limit)
	}
	content, err := io.ReadAll(stream)
	if err != nil {
		return nil, err
	}
	return content, verify(content, id, limit)
}
