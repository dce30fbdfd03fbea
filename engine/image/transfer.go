package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/copy"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/manifest"
	imagestorage "go.podman.io/image/v5/storage"
	"go.podman.io/image/v5/transports/alltransports"
	"go.podman.io/image/v5/types"
)

// End is one end of a Transfer.
type End struct {
	// Name is TRANSPORT:REFERENCE as containers-transports(5) has it (docker://HOST/NAME:TAG, oci:DIR:TAG, oci-archive:FILE, docker-archive:FILE,
	// dir:DIR), or a name without a transport: an image of the store.
	Name string
	// Credentials are USER:PASSWORD for its registry; "" is those of auth.json.
	Credentials string
	// Insecure allows a registry without TLS, or with a certificate that nobody vouches for.
	Insecure bool
}

// TransferOptions say what of an image is copied and how.
type TransferOptions struct {
	From, To End
	// All copies the images of an index for all platforms, and the index; else the one for Platform, "" for this machine's.
	All      bool
	Platform string
	// PreserveDigests fails where the copy would have other digests than the original.
	PreserveDigests bool
	// Format is the kind of the manifest, "oci" or "v2s2" (docker's); "" keeps it where the destination takes it.
	Format string
	// Report is told, in lines, what goes on; nil is nobody.
	Report io.Writer
	// Store opens the store, where an end is in it.
	Store func() (*Store, error)
}

// Transfer copies an image from anywhere to anywhere and gives the digest that it has there. What the destination has is not sent again.
// Killed on the way, it leaves at most blobs: the manifest comes last.
func (r *Registries) Transfer(ctx context.Context, o TransferOptions) (digest.Digest, error) {
	id, err := r.transfer(ctx, o)
	if err != nil && ctx.Err() == nil {
		return "", fmt.Errorf("cannot copy %q to %q: %w", o.From.Name, o.To.Name, err)
	}
	return id, err
}

func (r *Registries) transfer(ctx context.Context, o TransferOptions) (digest.Digest, error) {
	request := copy.Options{PreserveDigests: o.PreserveDigests, ReportWriter: o.Report}
	switch o.Format {
	case "":
	case "oci":
		request.ForceManifestMIMEType = "application/vnd.oci.image.manifest.v1+json"
	case "v2s2":
		request.ForceManifestMIMEType = manifest.DockerV2Schema2MediaType
	default:
		return "", fmt.Errorf("format %q is neither oci nor v2s2", o.Format)
	}
	if o.All {
		request.ImageListSelection = copy.CopyAllImages
	}
	var err error
	var from, to types.ImageReference
	if from, request.SourceCtx, err = r.end(o, o.From, true); err != nil {
		return "", err
	}
	if to, request.DestinationCtx, err = r.end(o, o.To, false); err != nil {
		return "", err
	}
	if err := setPlatform(request.SourceCtx, o.Platform); err != nil {
		return "", err
	}
	policy, err := r.policy()
	if err != nil {
		return "", err
	}
	// Destroy fails only while the context is in use.
	defer func() { _ = policy.Destroy() }()
	written, err := copy.Image(ctx, policy, to, from, &request)
	if err != nil {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		// Only a source has mirrors, of which each has its answer.
		if named := from.DockerReference(); named != nil && strings.Contains(err.Error(), "initializing source docker:") {
			return "", errors.New(explain(request.SourceCtx, named, err))
		}
		return "", errors.New(cause(err.Error()))
	}
	return manifest.Digest(written)
}

// end is what an end's name means, and what is told to those who read or write it.
func (r *Registries) end(o TransferOptions, e End, exists bool) (types.ImageReference, *types.SystemContext, error) {
	sys := r.sys
	if e.Insecure {
		sys.DockerInsecureSkipTLSVerify = types.OptionalBoolTrue
		sys.OCIInsecureSkipTLSVerify, sys.DockerDaemonInsecureSkipTLSVerify = true, true
	}
	if e.Credentials != "" {
		user, password, _ := strings.Cut(e.Credentials, ":")
		sys.DockerAuthConfig = &types.DockerAuthConfig{Username: user, Password: password}
	}
	if transport := alltransports.TransportFromImageName(e.Name); transport != nil && transport.Name() != imagestorage.Transport.Name() {
		ref, err := alltransports.ParseImageName(e.Name)
		if err != nil {
			return nil, nil, fmt.Errorf("%q is no name of an image: %w", e.Name, err)
		}
		return ref, &sys, nil
	}
	ref, err := stored(o, strings.TrimPrefix(e.Name, imagestorage.Transport.Name()+":"), exists)
	return ref, &sys, err
}

// stored is an image of the store, or where one of that name will be.
func stored(o TransferOptions, name string, exists bool) (types.ImageReference, error) {
	store, err := o.Store()
	if err != nil {
		return nil, err
	}
	if !exists {
		named := hub(name)
		if named == nil {
			return nil, fmt.Errorf("%q is no name of an image", name)
		}
		return imagestorage.Transport.NewStoreReference(store.storage, named, "")
	}
	img, err := store.find(name)
	if err != nil {
		return nil, err
	}
	named, err := reference.ParseNormalizedNamed(nameMeant(&store.sys, name, img))
	if err != nil { // it goes by its ID
		return imagestorage.Transport.NewStoreReference(store.storage, nil, img.ID)
	}
	return imagestorage.Transport.NewStoreReference(store.storage, named, img.ID)
}
