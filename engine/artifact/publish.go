package artifact

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/pcompose/pcompose/engine/image"
)

// Kind is what a file is to its project.
type Kind string

const (
	// Main is a file of the project, Extended one that a service extends, Env one of variables.
	Main     Kind = "main"
	Extended Kind = "extended"
	Env      Kind = "env"
)

// File is a file to publish. Its name has no folders.
type File struct {
	Name    string
	Kind    Kind
	Content []byte
}

// Publication is what is published under a name.
type Publication struct {
	Files []File
	// OCI is the version of the OCI specifications that the artifact keeps to, 1.0 or 1.1; "" is 1.1, or 1.0 where the
	// registry does not know that.
	OCI string
	// Created dates it; Version is of the program that publishes.
	Created time.Time
	Version string
	// Images are copied to the same repository, and made known there as the project's.
	Images []string
}

// Publish pushes a project to a name in full. The name is the new project's once all of it is there; killed before, nothing
// under the name has changed.
func Publish(ctx context.Context, registries *image.Registries, name string, p Publication) error {
	blobs := [][]byte{v1.DescriptorEmptyJSON.Data} // the config of either version
	var layers []v1.Descriptor
	for _, f := range p.Files {
		blobs = append(blobs, f.Content)
		layers = append(layers, layer(f, p.Version))
	}
	versions := []string{p.OCI}
	if p.OCI == "" {
		versions = []string{"1.1", "1.0"}
	}
	var project v1.Descriptor
	var err error
	for _, version := range versions {
		var content []byte
		if content, err = manifest(layers, version, p.Created); err != nil {
			return err
		}
		project = v1.Descriptor{MediaType: v1.MediaTypeImageManifest, Digest: digest.FromBytes(content), Size: int64(len(content))}
		if version == "1.1" {
			project.ArtifactType = projectType
		}
		if err = registries.PushArtifact(ctx, name, blobs, content); !errors.Is(err, image.ErrManifestRejected) {
			break
		}
	}
	if err != nil || len(p.Images) == 0 {
		return err
	}
	return publishImages(ctx, registries, name, project, p)
}

// publishImages copies images beside a project, and pushes an index of them that refers to it.
func publishImages(ctx context.Context, registries *image.Registries, name string, project v1.Descriptor, p Publication) error {
	repository, err := image.Repository(name)
	if err != nil {
		return err
	}
	index := v1.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageIndex, Subject: &project,
		Manifests: []v1.Descriptor{}, Annotations: map[string]string{versionNote: p.Version},
	}
	for _, ref := range p.Images {
		content, err := registries.Copy(ctx, ref, repository)
		if err != nil {
			return err
		}
		var kind struct {
			MediaType string `json:"mediaType"`
		}
		if err := json.Unmarshal(content, &kind); err != nil {
			return fmt.Errorf("cannot read the manifest of image %q: %w", ref, err)
		}
		index.Manifests = append(index.Manifests, v1.Descriptor{MediaType: kind.MediaType, Digest: digest.FromBytes(content), Size: int64(len(content))})
	}
	content, err := json.Marshal(index)
	if err != nil {
		return err
	}
	return registries.PushArtifact(ctx, repository+"@"+digest.FromBytes(content).String(), nil, content)
}

// layer describes a file as docker compose does.
func layer(f File, version string) v1.Descriptor {
	d := v1.Descriptor{MediaType: fileType, Digest: digest.FromBytes(f.Content), Size: int64(len(f.Content))}
	d.Annotations = map[string]string{versionNote: version}
	switch f.Kind {
	case Env:
		d.MediaType = envFileType
		d.Annotations[envFileNote] = f.Name
	case Extended:
		d.Annotations[fileNote], d.Annotations[extendsNote] = f.Name, "true"
	case Main:
		d.Annotations[fileNote] = f.Name
	}
	return d
}

// manifest is the manifest of a project. OCI 1.0 has no type for artifacts; there the type of the config stands for it.
func manifest(layers []v1.Descriptor, version string, created time.Time) ([]byte, error) {
	m := v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest, Layers: layers,
		Annotations: map[string]string{v1.AnnotationCreated: created.UTC().Format(time.RFC3339)},
	}
	switch version {
	case "1.0":
		m.Config = v1.Descriptor{MediaType: emptyType, Digest: v1.DescriptorEmptyJSON.Digest, Size: v1.DescriptorEmptyJSON.Size}
	case "1.1":
		m.ArtifactType, m.Config = projectType, v1.DescriptorEmptyJSON
	default:
		return nil, fmt.Errorf("OCI version %q is not supported: 1.0 and 1.1 are", version)
	}
	return json.Marshal(m)
}
