package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/copy"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/docker/reference"
	containerimage "go.podman.io/image/v5/image"
	"go.podman.io/image/v5/pkg/blobinfocache/none"
	"go.podman.io/image/v5/signature"
	"go.podman.io/image/v5/types"
	"go.podman.io/storage/pkg/configfile"
)

// ErrManifestRejected is wrapped by errors of a registry that does not take manifests of that kind.
var ErrManifestRejected = errors.New("the registry does not take this kind of manifest")

// maxManifest is the most that a manifest may have, as registries limit it.
const maxManifest = 4 << 20

// Artifact is what a registry has under a name, which need be no image. Close ends its use.
type Artifact struct {
	// Manifest is as the registry has it; its digest is Digest.
	Manifest []byte
	Digest   digest.Digest
	source   types.ImageSource
}

// Artifact looks up what a registry, or a mirror of it, has under a name, as far as the signature policy allows.
func (r *Registries) Artifact(ctx context.Context, ref string) (*Artifact, error) {
	names, err := candidates(&r.sys, ref)
	if err != nil {
		return nil, err
	}
	var failures []string
	for _, name := range names {
		a, err := r.artifact(ctx, name)
		if err == nil {
			return a, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		failures = append(failures, explain(&r.sys, name, err))
	}
	return nil, errors.New(strings.Join(failures, "; "))
}

func (r *Registries) artifact(ctx context.Context, name reference.Named) (_ *Artifact, err error) {
	ref, err := docker.NewReference(name)
	if err != nil {
		return nil, err
	}
	source, err := ref.NewImageSource(ctx, &r.sys)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, source.Close())
		}
	}()
	policy, err := r.policy()
	if err != nil {
		return nil, err
	}
	// Destroy fails only while the context is in use.
	defer func() { _ = policy.Destroy() }()
	unparsed := containerimage.UnparsedInstance(source, nil)
	if allowed, err := policy.IsRunningImageAllowed(ctx, unparsed); err != nil || !allowed {
		return nil, fmt.Errorf("Source image rejected: %w", err) //nolint:staticcheck // explain knows these words of containers/image
	}
	content, _, err := unparsed.Manifest(ctx)
	if err != nil {
		return nil, err
	}
	return &Artifact{content, digest.FromBytes(content), source}, nil
}

// policy is the signature policy of the machine; one without policy.json asks for no signatures.
func (r *Registries) policy() (*signature.PolicyContext, error) {
	policy, err := signature.DefaultPolicy(&r.sys)
	if errors.Is(err, configfile.ErrConfigFileNotFound) {
		policy, err = &signature.Policy{Default: signature.PolicyRequirements{signature.NewPRInsecureAcceptAnything()}}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the signature policy: %w", err)
	}
	return signature.NewPolicyContext(policy)
}

// Close lets go of the registry.
func (a *Artifact) Close() error { return a.source.Close() }

// Instance is a manifest that an artifact that is an index names.
func (a *Artifact) Instance(ctx context.Context, id digest.Digest) ([]byte, error) {
	content, _, err := a.source.GetManifest(ctx, &id)
	if err != nil {
		return nil, errors.New(cause(err.Error()))
	}
	if err := verify(content, id, maxManifest); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	return content, nil
}

// Blob is a blob of an artifact, of at most limit bytes.
func (a *Artifact) Blob(ctx context.Context, id digest.Digest, limit int64) ([]byte, error) {
	stream, _, err := a.source.GetBlob(ctx, types.BlobInfo{Digest: id, Size: -1}, none.NoCache)
	if err != nil {
		return nil, errors.New(cause(err.Error()))
	}
	defer stream.Close()
	content, err := io.ReadAll(io.LimitReader(stream, limit+1))
	if err != nil {
		return nil, errors.New(cause(err.Error()))
	}
	return content, verify(content, id, limit)
}

// verify holds content against what it should be.
func verify(content []byte, id digest.Digest, limit int64) error {
	if err := id.Validate(); err != nil {
		return fmt.Errorf("%q is no digest: %w", id, err)
	}
	switch verifier := id.Verifier(); {
	case int64(len(content)) > limit:
		return fmt.Errorf("%s is larger than %d bytes", id, limit)
	default:
		// A hash takes all it is given.
		_, _ = verifier.Write(content)
		if !verifier.Verified() {
			return fmt.Errorf("the content of %s is not what its digest says", id)
		}
	}
	return nil
}

// Insecure are the same registries, asked without TLS or with certificates nobody vouches for where need be.
func (r *Registries) Insecure() *Registries {
	insecure := *r
	insecure.sys.DockerInsecureSkipTLSVerify = types.OptionalBoolTrue
	return &insecure
}

// Name is a reference in full: one without a registry is of Docker Hub, one without tag and digest is the latest.
func Name(ref string) (string, error) {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return "", fmt.Errorf("image reference %q is not valid: %w", ref, err)
	}
	return reference.TagNameOnly(named).String(), nil
}

// Repository is a reference in full without its tag or digest.
func Repository(ref string) (string, error) {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return "", fmt.Errorf("image reference %q is not valid: %w", ref, err)
	}
	return reference.TrimNamed(named).String(), nil
}

// PushArtifact brings blobs and then a manifest to the registry of a full name; with a digest for a tag the manifest must have
// that one. Blobs that the registry has are not sent. Killed on the way, it leaves blobs that registries remove by and by.
func (r *Registries) PushArtifact(ctx context.Context, ref string, blobs [][]byte, manifest []byte) error {
	name, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return fmt.Errorf("cannot push to %q: %w", ref, err)
	}
	target, err := docker.NewReference(name)
	if err != nil {
		return fmt.Errorf("cannot push to %q: %w", ref, err)
	}
	destination, err := target.NewImageDestination(ctx, &r.sys)
	if err != nil {
		return fmt.Errorf("cannot push to %q: %s", ref, cause(err.Error()))
	}
	defer destination.Close()
	for _, blob := range blobs {
		info := types.BlobInfo{Digest: digest.FromBytes(blob), Size: int64(len(blob))}
		if _, err := destination.PutBlob(ctx, bytes.NewReader(blob), info, none.NoCache, false); err != nil {
			return fmt.Errorf("cannot push to %q: %s", ref, cause(err.Error()))
		}
	}
	if err := destination.PutManifest(ctx, manifest, nil); err != nil {
		if rejected(err) {
			return fmt.Errorf("cannot push to %q: %w: %s", ref, ErrManifestRejected, cause(err.Error()))
		}
		return fmt.Errorf("cannot push to %q: %s", ref, cause(err.Error()))
	}
	return nil
}

// rejected says whether a registry has something against a manifest itself, and not against who sends it.
func rejected(err error) bool {
	var kind types.ManifestTypeRejectedError
	var status docker.UnexpectedHTTPStatusError
	if errors.As(err, &status) {
		switch code := status.StatusCode; code {
		case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired, http.StatusTooManyRequests:
		default:
			return code >= 400 && code < 500
		}
	}
	return errors.As(err, &kind)
}

// Copy copies an image, for all its platforms, from one registry to a repository of another, REGISTRY/NAME, where it is found
// by its digest. It returns the manifest, which is as it was.
func (r *Registries) Copy(ctx context.Context, ref, repository string) ([]byte, error) {
	pinned, err := r.Pin(ctx, ref)
	if err != nil {
		return nil, err
	}
	from, err := reference.ParseNormalizedNamed(pinned)
	if err != nil {
		return nil, fmt.Errorf("cannot copy image %q: %w", ref, err)
	}
	canonical, ok := from.(reference.Canonical)
	if !ok {
		return nil, fmt.Errorf("cannot copy image %q: it has no digest", ref)
	}
	// A name with tag and digest is no source of a copy.
	if from, err = reference.WithDigest(reference.TrimNamed(from), canonical.Digest()); err != nil {
		return nil, fmt.Errorf("cannot copy image %q: %w", ref, err)
	}
	source, err := docker.NewReference(from)
	if err != nil {
		return nil, fmt.Errorf("cannot copy image %q: %w", ref, err)
	}
	to, err := reference.ParseNormalizedNamed(repository + "@" + canonical.Digest().String())
	if err != nil {
		return nil, fmt.Errorf("cannot copy image to %q: %w", repository, err)
	}
	target, err := docker.NewReference(to)
	if err != nil {
		return nil, fmt.Errorf("cannot copy image to %q: %w", repository, err)
	}
	policy, err := r.policy()
	if err != nil {
		return nil, err
	}
	// Destroy fails only while the context is in use.
	defer func() { _ = policy.Destroy() }()
	options := copy.Options{SourceCtx: &r.sys, DestinationCtx: &r.sys, ImageListSelection: copy.CopyAllImages, PreserveDigests: true}
	manifest, err := copy.Image(ctx, policy, target, source, &options)
	if err != nil {
		return nil, fmt.Errorf("cannot copy image %q to %q: %s", ref, repository, cause(err.Error()))
	}
	return manifest, nil
}
