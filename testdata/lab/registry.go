package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// newRegistry serves the images of an OCI layout, and takes others for as long as it runs.
// Blobs are read from the layout where they lie; manifests, which the registry keeps in memory, are put at each start.
func newRegistry(dir string) (http.Handler, error) {
	handler := registry.New(
		registry.WithBlobHandler(overlaid{layout: dir, own: registry.NewInMemoryBlobHandler()}),
		registry.Logger(log.New(io.Discard, "", 0)),
	)
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	for _, image := range manifest.Manifests {
		content, err := os.ReadFile(blobPath(dir, image.Digest))
		if err != nil {
			return nil, err
		}
		// docker.io/library/nginx:1.22 is at /v2/library/nginx/manifests/1.22.
		name, tag, _ := strings.Cut(strings.TrimPrefix(image.Annotations[nameAnnotation], "docker.io/"), ":")
		put := httptest.NewRequest(http.MethodPut, "/v2/"+name+"/manifests/"+tag, bytes.NewReader(content))
		put.Header.Set("Content-Type", string(image.MediaType))
		answer := httptest.NewRecorder()
		if handler.ServeHTTP(answer, put); answer.Code >= http.StatusBadRequest {
			return nil, fmt.Errorf("cannot serve %s:%s: %s", name, tag, answer.Body)
		}
	}
	return handler, nil
}

func blobPath(layout string, hash v1.Hash) string {
	return filepath.Join(layout, "blobs", hash.Algorithm, hash.Hex)
}

// overlaid reads blobs from the layout and from own, and writes to own: tests never change the cache.
type overlaid struct {
	layout string
	own    registry.BlobHandler
}

func (o overlaid) Get(ctx context.Context, repo string, hash v1.Hash) (io.ReadCloser, error) {
	if file, err := os.Open(blobPath(o.layout, hash)); err == nil {
		return file, nil
	}
	return o.own.Get(ctx, repo, hash)
}

func (o overlaid) Stat(ctx context.Context, repo string, hash v1.Hash) (int64, error) {
	if stat, err := os.Stat(blobPath(o.layout, hash)); err == nil {
		return stat.Size(), nil
	}
	return o.own.(registry.BlobStatHandler).Stat(ctx, repo, hash)
}

func (o overlaid) Put(ctx context.Context, repo string, hash v1.Hash, content io.ReadCloser) error {
	return o.own.(registry.BlobPutHandler).Put(ctx, repo, hash, content)
}
