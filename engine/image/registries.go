package image

import (
	"context"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"
	"go.podman.io/common/pkg/auth"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/types"
)

// Registries are the registries by registries.conf and auth.json, without a store: they can be asked by anybody, not by
// root only. Its methods may be used from many goroutines.
type Registries struct{ sys types.SystemContext }

// NewRegistries reads nothing yet: each call reads the files anew.
func NewRegistries() *Registries {
	return &Registries{types.SystemContext{AuthFilePath: auth.GetDefaultAuthFile()}}
}

// Pin is a reference with the digest that its registry, or a mirror of it, has for it now:
// docker.io/library/nginx:1.22@sha256:…; one that has a digest already is only written in full.
func (r *Registries) Pin(ctx context.Context, ref string) (string, error) {
	names, err := candidates(&r.sys, ref)
	if err != nil {
		return "", fmt.Errorf("cannot find the digest of image %q: %w", ref, err)
	}
	var failures []string
	for _, name := range names {
		if _, pinned := name.(reference.Canonical); pinned {
			return name.String(), nil
		}
		_, found, err := r.manifest(ctx, name)
		if err == nil {
			pinned, err := reference.WithDigest(name, found)
			if err == nil {
				return pinned.String(), nil
			}
			return "", fmt.Errorf("cannot pin image %q: %w", ref, err)
		}
		if ctx.Err() != nil {
			return "", fmt.Errorf("cannot find the digest of image %q: %w", ref, ctx.Err())
		}
		failures = append(failures, explain(&r.sys, name, err))
	}
	return "", fmt.Errorf("cannot find the digest of image %q: %s", ref, strings.Join(failures, "; "))
}

// manifest is what a registry has under a full name, and its digest.
func (r *Registries) manifest(ctx context.Context, name reference.Named) ([]byte, digest.Digest, error) {
	ref, err := docker.NewReference(name)
	if err != nil {
		return nil, "", err
	}
	source, err := ref.NewImageSource(ctx, &r.sys)
	if err != nil {
		return nil, "", err
	}
	defer source.Close()
	content, _, err := source.GetManifest(ctx, nil)
	return content, digest.FromBytes(content), err
}
