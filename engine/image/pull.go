package image

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.podman.io/image/v5/copy"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/signature"
	imagestorage "go.podman.io/image/v5/storage"
	"go.podman.io/image/v5/types"
)

// PullOptions say how an image is pulled. The zero value pulls for this machine's platform, silently.
type PullOptions struct {
	// Platform is os/architecture or os/architecture/variant; "" is this machine's.
	Platform string
	// Progress is told how each blob comes on, from one goroutine at a time. It must return soon: the copy waits.
	Progress func(Progress)
}

// Progress is how far one blob of an image has come.
type Progress struct {
	// Blob is its digest.
	Blob string
	// Done and Total are bytes; Total is -1 where the registry does not say.
	Done, Total int64
	// Present means that the store had the blob already; Complete that it is stored now.
	Present, Complete bool
}

// progressInterval is the time between two reports on one blob: smooth to the eye, cheap to draw.
const progressInterval = 100 * time.Millisecond

// Pull brings an image from its registry, or a mirror of it, and gives its ID. The name it is stored under is the full
// one. What the store has of it is not fetched again; an image that is complete costs the reading of its manifest.
//
// The image appears when it is whole. A pull that fails or is killed leaves no image, and at most layers that the next
// pull of it uses again.
func (s *Store) Pull(ctx context.Context, ref string, options PullOptions) (id string, err error) {
	sys, err := s.System()
	if err != nil {
		return "", err
	}
	if err := setPlatform(sys, options.Platform); err != nil {
		return "", err
	}
	names, err := candidates(sys, ref)
	if err != nil {
		return "", err
	}
	var failures []string
	for _, name := range names {
		id, err := pullName(ctx, s, sys, name, options.Progress)
		if err == nil {
			err = s.pulled(id)
		}
		if err == nil {
			return id, nil
		}
		if ctx.Err() != nil {
			return "", fmt.Errorf("cannot pull image %q: %w", ref, ctx.Err())
		}
		failures = append(failures, explain(sys, name, err))
	}
	return "", fmt.Errorf("cannot pull image %q: %s", ref, strings.Join(failures, "; "))
}

// pullName pulls a full name.
func pullName(ctx context.Context, s *Store, sys *types.SystemContext, name reference.Named, progress func(Progress)) (string, error) {
	source, err := docker.NewReference(name)
	if err != nil {
		return "", err
	}
	flight := s.flights.begin(ctx, s.storage)
	defer flight.end()
	target, err := imagestorage.Transport.NewStoreReference(flight, name, "")
	if err != nil {
		return "", err
	}
	var stored types.ImageReference
	options := copy.Options{SourceCtx: sys, DestinationCtx: sys, ReportResolvedReference: &stored}
	if err := copyIn(ctx, &layers{ImageReference: target, store: flight, source: source, sys: sys, progress: progress}, &options); err != nil {
		return "", err
	}
	_, found, err := imagestorage.ResolveReference(stored)
	if err != nil {
		return "", err
	}
	return found.ID, nil
}

// copyIn copies an image into the store: its layers first, in the quickest way, and then the image with what is missing.
func copyIn(ctx context.Context, l *layers, options *copy.Options) error {
	source := l.source
	sigstore, err := wantsSigstore(l.sys)
	if err != nil {
		return err
	}
	if !sigstore {
		remembers := &remembered{ImageReference: source}
		defer remembers.forget()
		l.source = remembers
	}
	if err := copyLayers(ctx, l); err != nil {
		return err
	}
	if l.whole() {
		source = l.source
	}
	var progress func(Progress)
	if l.progress != nil {
		progress = l.storing
	}
	return copyImage(ctx, l.ImageReference, source, options, progress)
}

// copyImage copies an image under the signature policy, and returns after the last word on its progress.
func copyImage(ctx context.Context, target, source types.ImageReference, options *copy.Options, progress func(Progress)) error {
	policy, err := signature.DefaultPolicy(options.SourceCtx)
	if err != nil {
		return err
	}
	policyContext, err := signature.NewPolicyContext(policy)
	if err != nil {
		return err
	}
	// Destroy fails only while the context is in use.
	defer func() { _ = policyContext.Destroy() }()
	if progress != nil {
		events := make(chan types.ProgressProperties)
		done := make(chan struct{})
		go func() {
			defer close(done)
			report(events, progress)
		}()
		defer func() {
			close(events)
			<-done
		}()
		options.Progress, options.ProgressInterval = events, progressInterval
	}
	_, err = copy.Image(ctx, policyContext, target, source, options)
	return err
}

// report turns containers/image's events into ours until the channel is closed.
func report(events <-chan types.ProgressProperties, progress func(Progress)) {
	for event := range events {
		p := Progress{Blob: event.Artifact.Digest.String(), Done: int64(event.Offset), Total: event.Artifact.Size}
		switch event.Event {
		case types.ProgressEventDone:
			p.Complete = true
		case types.ProgressEventSkipped:
			p.Present, p.Complete, p.Done = true, true, max(p.Total, 0)
		}
		progress(p)
	}
}

// setPlatform makes an operation choose the image of a platform.
func setPlatform(sys *types.SystemContext, platform string) error {
	if platform == "" {
		return nil
	}
	parts := strings.Split(platform, "/")
	if len(parts) < 2 || len(parts) > 3 || parts[0] == "" || parts[1] == "" {
		return fmt.Errorf("platform %q is not of the form os/architecture[/variant]", platform)
	}
	sys.OSChoice, sys.ArchitectureChoice = parts[0], parts[1]
	if len(parts) == 3 {
		sys.VariantChoice = parts[2]
	}
	return nil
}
