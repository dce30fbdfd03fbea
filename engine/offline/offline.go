// Package offline is projects in one file: the resolved Compose file, the files it mounts, and its images.
//
// A bundle is a tar archive that is an OCI image layout, so that others find the images in it (skopeo's oci-archive). Its
// index.json names them, and first a manifest of the artifact type below, which describes the project: the config says what
// there is (Contents), the first layer is the Compose file, the others are tar archives of files.
//
// The same project, files and images make the same bytes: entries are sorted, and have neither times nor owners but those of the
// project's files.
package offline

import (
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// The kinds of what a bundle has. A reader refuses others: a later version would have another artifact type.
const (
	artifactType = "application/vnd.pcompose.bundle.v1"
	contentsType = "application/vnd.pcompose.bundle.contents.v1+json"
	modelType    = "application/vnd.pcompose.bundle.compose.v1+yaml"
	filesType    = "application/vnd.pcompose.bundle.files.v1.tar"
)

// ComposeFile is the name of the Compose file in the folder of an unpacked bundle.
const ComposeFile = "compose.yaml"

// SecretsDir is the folder of secrets there.
const SecretsDir = "secrets"

// Contents says what a bundle has beside blobs.
type Contents struct {
	// Project is its name in the file.
	Project string `json:"project"`
	// Images are full references with digests, as the Compose file names them, sorted.
	Images []string `json:"images"`
	// Files are the paths in the bundle's folder that its mounts, configs and secrets are of, sorted.
	Files []string `json:"files,omitempty"`
	// MissingSecrets are the secrets of files that were left out, sorted; their files are in SecretsDir, by their names.
	MissingSecrets []string `json:"missingSecrets,omitempty"`
}

// The bounds of what is read into memory, against archives that are made to fill it.
const (
	maxIndex   = 4 << 20
	maxModel   = 16 << 20 // as compose/load reads
	maxEntries = 100_000
)

// noteName is where index.json names an image.
const noteName = v1.AnnotationRefName
