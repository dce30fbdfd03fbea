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
	"sync"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// server is a registry of a lab's images. Each is made when the first asks for it, and others are taken for as long as it runs.
type server struct {
	lab      *lab
	registry http.Handler
	images   []*served
}

// served is an image, and whether the registry has been given it: manifests are kept in memory, so that each server does it anew.
type served struct {
	recipe recipe
	mu     sync.Mutex
	done   bool
}

func newServer(l *lab) *server {
	s := &server{lab: l, registry: registry.New(
		registry.WithBlobHandler(overlaid{layout: l.dir, own: registry.NewInMemoryBlobHandler()}),
		registry.Logger(log.New(io.Discard, "", 0)),
	)}
	for _, r := range l.recipes {
		s.images = append(s.images, &served{recipe: r})
	}
	return s
}

// ServeHTTP answers as a registry. Before anything of an image's repository is read or written the image is there: a test may push
// another under its name.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for _, image := range s.images {
		name, _ := splitName(image.recipe.Names[0])
		if !strings.HasPrefix(r.URL.Path, "/v2/"+name+"/") {
			continue
		}
		if err := s.offer(image); err != nil {
			fmt.Fprintln(os.Stderr, "lab:", err)
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
	s.registry.ServeHTTP(w, r)
}

// offer gives the registry an image, once.
func (s *server) offer(image *served) error {
	image.mu.Lock()
	defer image.mu.Unlock()
	if image.done {
		return nil
	}
	m, err := s.lab.image(image.recipe)
	if err != nil {
		return err
	}
	content, err := os.ReadFile(blobPath(s.lab.dir, m.Manifest))
	if err != nil {
		return err
	}
	for _, full := range m.Names {
		name, tag := splitName(full)
		put := httptest.NewRequest(http.MethodPut, "/v2/"+name+"/manifests/"+tag, bytes.NewReader(content))
		put.Header.Set("Content-Type", string(m.MediaType))
		answer := httptest.NewRecorder()
		if s.registry.ServeHTTP(answer, put); answer.Code >= http.StatusBadRequest {
			return fmt.Errorf("cannot serve %s: %s", full, answer.Body)
		}
	}
	image.done = true
	return nil
}

// splitName parts docker.io/library/nginx:1.22 into library/nginx, where its host has it, and 1.22.
func splitName(full string) (name, tag string) {
	_, path, _ := strings.Cut(full, "/")
	name, tag, _ = strings.Cut(path, ":")
	return name, tag
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
