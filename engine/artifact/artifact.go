// Package artifact reads and writes Compose projects in registries: OCI artifacts as `docker compose publish` makes them.
package artifact

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/pcompose/pcompose/engine/cache"
	"github.com/pcompose/pcompose/engine/image"
)

// What docker compose writes into manifests.
const (
	projectType   = "application/vnd.docker.compose.project"
	fileType      = "application/vnd.docker.compose.file+yaml"
	envFileType   = "application/vnd.docker.compose.envfile"
	emptyType     = "application/vnd.docker.compose.config.empty.v1+json" // of a config, for registries before OCI 1.1
	fileNote      = "com.docker.compose.file"
	extendsNote   = "com.docker.compose.extends"
	envFileNote   = "com.docker.compose.envfile"
	versionNote   = "com.docker.compose.version"
	scheme        = "oci://"
	composeFile   = "compose.yaml"
	maxFile       = 16 << 20 // as compose/load reads
	maxFiles      = 1000
	maxTotal      = 64 << 20
	betweenLayers = "\n---\n"
)

// Projects are the projects in registries that references oci://NAME name.
type Projects struct {
	dir        cache.Dir
	registries *image.Registries
}

// New keeps what is fetched below dir.
func New(dir string, registries *image.Registries) *Projects {
	return &Projects{cache.Dir(dir), registries}
}

// Accepts says whether a reference is an oci:// one.
func (p *Projects) Accepts(reference string) bool { return strings.HasPrefix(reference, scheme) }

// Fetch gives the Compose file that the project of a reference is, and the folder with the other files of it. A tag is looked up
// each time; what was fetched before is not again, and a digest that was is not looked up.
func (p *Projects) Fetch(ctx context.Context, reference string) (file, root string, err error) {
	name := strings.TrimPrefix(reference, scheme)
	if _, text, ok := strings.Cut(name, "@"); ok {
		if id, err := digest.Parse(text); err == nil && p.dir.Has(id.Encoded()) {
			root = filepath.Join(string(p.dir), id.Encoded())
			return filepath.Join(root, composeFile), root, nil
		}
	}
	a, err := p.registries.Artifact(ctx, name)
	if err != nil {
		return "", "", err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	root, err = p.dir.Get(ctx, a.Digest.Encoded(), func(dir string) error {
		manifest, err := project(ctx, a)
		if err != nil {
			return err
		}
		return unpack(ctx, a, manifest, dir)
	})
	return filepath.Join(root, composeFile), root, err
}

// project is the manifest of the project: the artifact's, or that of the project that its index names.
func project(ctx context.Context, a *image.Artifact) (v1.Manifest, error) {
	content := a.Manifest
	var index v1.Index
	if err := json.Unmarshal(content, &index); err != nil {
		return v1.Manifest{}, fmt.Errorf("its manifest is not valid: %w", err)
	}
	if index.MediaType == v1.MediaTypeImageIndex {
		at := slices.IndexFunc(index.Manifests, func(d v1.Descriptor) bool { return d.ArtifactType == projectType })
		if at < 0 {
			return v1.Manifest{}, errors.New("this is an image, not a Compose project")
		}
		var err error
		if content, err = a.Instance(ctx, index.Manifests[at].Digest); err != nil {
			return v1.Manifest{}, err
		}
	}
	var manifest v1.Manifest
	if err := json.Unmarshal(content, &manifest); err != nil {
		return manifest, fmt.Errorf("its manifest is not valid: %w", err)
	}
	switch {
	case manifest.ArtifactType == projectType, manifest.ArtifactType == "" && manifest.Config.MediaType == emptyType:
		return manifest, nil
	case manifest.ArtifactType != "":
		return manifest, fmt.Errorf("this is no Compose project but %s", manifest.ArtifactType)
	}
	return manifest, errors.New("this is an image, not a Compose project")
}

// unpack writes the files of a project. The main ones become one, of which each overrides what stands before it.
func unpack(ctx context.Context, a *image.Artifact, manifest v1.Manifest, dir string) error {
	if len(manifest.Layers) > maxFiles {
		return fmt.Errorf("it has more than %d files", maxFiles)
	}
	var main bytes.Buffer
	total := 0
	for _, layer := range manifest.Layers {
		if layer.MediaType != fileType && layer.MediaType != envFileType {
			continue // of a later version; docker compose leaves it, too
		}
		content, err := a.Blob(ctx, layer.Digest, maxFile)
		if err != nil {
			return err
		}
		if total += len(content); total > maxTotal {
			return fmt.Errorf("its files are larger than %d MiB", maxTotal>>20)
		}
		note := envFileNote
		if layer.MediaType == fileType {
			if _, extends := layer.Annotations[extendsNote]; !extends {
				if main.Len() > 0 {
					main.WriteString(betweenLayers)
				}
				main.Write(content)
				continue
			}
			note = fileNote
		}
		if err := place(dir, layer.Annotations[note], content); err != nil {
			return err
		}
	}
	if main.Len() == 0 {
		return errors.New("it has no Compose file")
	}
	return place(dir, composeFile, main.Bytes())
}

// place writes a file of an artifact. Its name is one without folders, or it could be written anywhere (CVE-2025-62725).
func place(dir, name string, content []byte) error {
	if name == "" || name != filepath.Base(name) || !filepath.IsLocal(name) || name == "." || strings.ContainsAny(name, "\\\x00") {
		return fmt.Errorf("it has a file of the name %q, which is not allowed", name)
	}
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("it has the file %q twice", name)
	}
	if err != nil {
		return fmt.Errorf("cannot write to the cache: %w", err)
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("cannot write to the cache: %w", err)
	}
	return nil
}
