package image

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/copy"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/manifest"
	"go.podman.io/image/v5/oci/layout"
	imagestorage "go.podman.io/image/v5/storage"
	"go.podman.io/image/v5/types"
	"go.podman.io/storage"
)

// KeepOptions say which image is kept, and what of it.
type KeepOptions struct {
	// Platforms are those to keep of an image that has several; none is this machine's.
	Platforms []string
	// Built says that no registry has the image: the store's is kept.
	Built bool
	// Progress is as PullOptions has it.
	Progress func(Progress)
}

// Kept is an image in an OCI layout.
type Kept struct {
	// Name is a full reference with the digest of what is kept, by which the image is found wherever it is brought.
	Name string
	// Descriptor is of its manifest, or of its index, whose manifests need not all be there.
	Descriptor v1.Descriptor
}

// Keep copies an image into the OCI layout at dir, which is made where it is missing. It is the one that the store has, and comes from
// its registry, which has it as it was signed and compressed: so all digests stay. An image that only the store has is compressed
// anew; its ID stays. Nothing comes into the store. Blobs that are in the layout are not
// fetched again.
func Keep(ctx context.Context, s *Store, ref, dir string, options KeepOptions) (Kept, error) {
	img, err := s.find(ref)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return Kept{}, err
	}
	if img != nil && !options.Built {
		kept, err := keeper{s, dir, options}.signed(ctx, ref, img)
		if err == nil || ctx.Err() != nil {
			return kept, err
		}
		// The registry is out of reach, or has another one by now: the store's is as good, by a digest of its own.
	}
	if img != nil {
		return keeper{s, dir, options}.stored(ctx, ref, img)
	}
	if options.Built {
		return Kept{}, fmt.Errorf("cannot save image %q: it is not in the store: build it first", ref)
	}
	sys, err := s.System()
	if err != nil {
		return Kept{}, err
	}
	names, err := candidates(sys, ref)
	if err != nil {
		return Kept{}, err
	}
	var failures []string
	for _, name := range names {
		kept, err := keeper{s, dir, options}.named(ctx, sys, name)
		if err == nil {
			return kept, nil
		}
		if ctx.Err() != nil {
			return Kept{}, context.Cause(ctx)
		}
		failures = append(failures, explain(sys, name, err))
	}
	return Kept{}, fmt.Errorf("cannot save image %q: %s", ref, strings.Join(failures, "; "))
}

// keeper is one Keep on its way.
type keeper struct {
	*Store
	dir     string
	options KeepOptions
}

// signed keeps from its registry the image that the store has: the index it was chosen from, where it was.
func (k keeper) signed(ctx context.Context, ref string, img *storage.Image) (Kept, error) {
	sys, err := k.System()
	if err != nil {
		return Kept{}, err
	}
	named, err := reference.ParseNormalizedNamed(nameMeant(&k.sys, ref, img))
	if err != nil {
		return Kept{}, err
	}
	id := img.Digest
	for _, d := range img.Digests {
		content, err := k.storage.ImageBigData(img.ID, storage.ImageDigestManifestBigDataNamePrefix+"-"+d.String())
		if err == nil && manifest.MIMETypeIsMultiImage(manifest.GuessMIMEType(content)) {
			id = d
		}
	}
	pinned, err := reference.WithDigest(reference.TrimNamed(named), id)
	if err != nil {
		return Kept{}, err
	}
	kept, err := k.named(ctx, sys, pinned)
	if tagged, ok := named.(reference.Tagged); ok && err == nil {
		kept.Name = named.Name() + ":" + tagged.Tag() + "@" + id.String()
	}
	return kept, err
}

// named keeps what a registry has under a full name.
func (k keeper) named(ctx context.Context, sys *types.SystemContext, name reference.Named) (Kept, error) {
	ref, err := docker.NewReference(name)
	if err != nil {
		return Kept{}, err
	}
	source, err := ref.NewImageSource(ctx, sys)
	if err != nil {
		return Kept{}, err
	}
	defer source.Close()
	content, kind, err := source.GetManifest(ctx, nil)
	if err != nil {
		return Kept{}, err
	}
	request := copy.Options{PreserveDigests: true}
	if manifest.MIMETypeIsMultiImage(kind) {
		request.ImageListSelection = copy.CopySpecificImages
		if request.Instances, err = instances(content, kind, sys, k.options.Platforms); err != nil {
			return Kept{}, err
		}
	}
	// By its digest: the name may be given to another image between the two requests.
	pinned, err := reference.WithDigest(reference.TrimNamed(name), digest.FromBytes(content))
	if err != nil {
		return Kept{}, err
	}
	if ref, err = docker.NewReference(pinned); err != nil {
		return Kept{}, err
	}
	return k.copy(ctx, ref, name, request)
}

// instances are the digests of the images of an index for some platforms.
func instances(content []byte, kind string, sys *types.SystemContext, platforms []string) ([]digest.Digest, error) {
	list, err := manifest.ListFromBlob(content, kind)
	if err != nil {
		return nil, err
	}
	if len(platforms) == 0 {
		platforms = []string{""}
	}
	var chosen []digest.Digest
	for _, platform := range platforms {
		choice := *sys
		if err := setPlatform(&choice, platform); err != nil {
			return nil, err
		}
		id, err := list.ChooseInstance(&choice)
		if err != nil {
			return nil, fmt.Errorf("there is none for platform %q", platform)
		}
		if !slices.Contains(chosen, id) {
			chosen = append(chosen, id)
		}
	}
	return chosen, nil
}

// stored keeps an image out of the store.
func (k keeper) stored(ctx context.Context, ref string, img *storage.Image) (Kept, error) {
	named, err := reference.ParseNormalizedNamed(nameMeant(&k.sys, ref, img))
	if err != nil {
		return Kept{}, fmt.Errorf("cannot save image %q: give it a name first: %w", ref, err)
	}
	source, err := imagestorage.Transport.NewStoreReference(k.storage, named, img.ID)
	if err != nil {
		return Kept{}, fmt.Errorf("cannot save image %q: %w", ref, err)
	}
	kept, err := k.copy(ctx, source, named, copy.Options{})
	if err != nil && ctx.Err() == nil {
		return Kept{}, fmt.Errorf("cannot save image %q: %s", ref, cause(err.Error()))
	}
	return kept, err
}

// copy copies an image into the layout, and names it after name and the digest it has there.
func (k keeper) copy(ctx context.Context, source types.ImageReference, name reference.Named, request copy.Options) (Kept, error) {
	sys, err := k.System()
	if err != nil {
		return Kept{}, err
	}
	target, err := layout.NewReference(k.dir, "")
	if err != nil {
		return Kept{}, err
	}
	request.SourceCtx, request.DestinationCtx = sys, sys
	// Who saves has held them against the policy; a layout has no place for them.
	request.RemoveSignatures = true
	into := &keeping{ImageReference: target}
	if err := copyImage(ctx, into, source, &request, k.options.Progress); err != nil {
		return Kept{}, err
	}
	d := v1.Descriptor{MediaType: manifest.GuessMIMEType(into.manifest), Digest: digest.FromBytes(into.manifest), Size: int64(len(into.manifest))}
	full := name.Name()
	if tagged, ok := name.(reference.Tagged); ok {
		full += ":" + tagged.Tag()
	}
	return Kept{Name: full + "@" + d.Digest.String(), Descriptor: d}, nil
}

// keeping is a layout that takes manifests of every kind as they are: to turn docker's into OCI's would change their digests.
type keeping struct {
	types.ImageReference
	// manifest is the one that was put last, the image's own or the index of all.
	manifest []byte
}

func (k *keeping) NewImageDestination(ctx context.Context, sys *types.SystemContext) (types.ImageDestination, error) {
	destination, err := k.ImageReference.NewImageDestination(ctx, sys)
	return &keepingDestination{destination, k}, err
}

type keepingDestination struct {
	types.ImageDestination
	of *keeping
}

func (d *keepingDestination) SupportedManifestMIMETypes() []string { return nil }

func (d *keepingDestination) PutManifest(ctx context.Context, content []byte, instance *digest.Digest) error {
	if instance == nil {
		d.of.manifest = content
	}
	return d.ImageDestination.PutManifest(ctx, content, instance)
}
