package image

import (
	"context"
	"fmt"

	"go.podman.io/image/v5/copy"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/docker/reference"
	imagestorage "go.podman.io/image/v5/storage"
)

// Push copies an image of the store to the registry its name is of: a name without one is Docker Hub's. What the
// registry has of it is not sent again.
func (s *Store) Push(ctx context.Context, ref string, progress func(Progress)) error {
	img, err := s.find(ref)
	if err != nil {
		return fmt.Errorf("cannot push: %w", err)
	}
	named := nameMeant(&s.sys, ref, img)
	if named == "" {
		return fmt.Errorf("cannot push image %q: it is not named by a name of a registry", ref)
	}
	name, err := reference.ParseNormalizedNamed(named)
	if err != nil {
		return fmt.Errorf("cannot push image %q: %w", ref, err)
	}
	source, err := imagestorage.Transport.NewStoreReference(s.storage, name, img.ID)
	if err != nil {
		return fmt.Errorf("cannot push image %q: %w", ref, err)
	}
	target, err := docker.NewReference(name)
	if err != nil {
		return fmt.Errorf("cannot push image %q: %w", ref, err)
	}
	sys, err := s.System()
	if err != nil {
		return err
	}
	options := copy.Options{SourceCtx: sys, DestinationCtx: sys}
	if err := copyImage(ctx, target, source, &options, progress); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("cannot push image %q: %w", ref, ctx.Err())
		}
		return fmt.Errorf("cannot push image %q to %s: %s", ref, reference.Domain(name), cause(err.Error()))
	}
	return nil
}
