package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

func imageFile(dir string) string { return filepath.Join(dir, "busybox.tar") }

// writeImage fetches busybox from the lab's registry into an archive that everybody loads.
func writeImage(dir string) error {
	registry := os.Getenv("PCT_REGISTRY")
	if registry == "" {
		return errors.New("PCT_REGISTRY names no registry: run under `lab run`, as make bench does")
	}
	from, err := name.ParseReference(registry+"/library/busybox:latest", name.Insecure)
	if err != nil {
		return err
	}
	image, err := remote.Image(from)
	if err != nil {
		return err
	}
	tag, err := name.NewTag("docker.io/library/busybox:latest")
	if err != nil {
		return err
	}
	return tarball.WriteToFile(imageFile(dir), tag, image)
}

func projectFile(dir string, n int) string {
	return filepath.Join(dir, fmt.Sprintf("n%d", n), "compose.yaml")
}

// writeProject writes a project of n idle services.
func writeProject(dir string, n int) error {
	var file strings.Builder
	file.WriteString("services:\n")
	for i := range n {
		fmt.Fprintf(&file, "  s%02d: {image: \"docker.io/library/busybox:latest\", command: sleep infinity}\n", i+1)
	}
	return writeFile(projectFile(dir, n), file.String())
}

func writeFile(path, content string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(content), 0o644)
}
