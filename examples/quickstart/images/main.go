// Command images makes the quickstart's two images from scratch: a static program each, and nothing else.
//
//	images DIR    compiles web and store and writes DIR/web.tar and DIR/store.tar, for `pcompose image load`
package main

import (
	"archive/tar"
	"bytes"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

const source = "github.com/pcompose/pcompose/examples/quickstart/"

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: images DIR")
	}
	for _, program := range []string{"web", "store"} {
		if err := write(os.Args[1], program); err != nil {
			log.Fatalf("cannot make the image of %s: %v", program, err)
		}
	}
}

// write compiles the program and writes an image archive with it.
func write(dir, program string) error {
	binary := filepath.Join(dir, program)
	// Git tells no version of a checkout that is somebody else's.
	build := exec.Command("go", "build", "-buildvcs=false", "-trimpath", "-ldflags=-s -w", "-o", binary, source+program)
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return err
	}
	content, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	image, err := fromScratch(program, content)
	if err != nil {
		return err
	}
	ref, err := name.NewTag("localhost/quickstart-" + program + ":latest")
	if err != nil {
		return err
	}
	return tarball.WriteToFile(filepath.Join(dir, program+".tar"), ref, image)
}

// fromScratch is an image of one file, and of the empty directory that the store's volume is filled from.
// It is the same for the same program, whenever it is made: an up after a rebuild replaces nothing that did not change.
func fromScratch(program string, content []byte) (v1.Image, error) {
	var layer bytes.Buffer
	files := tar.NewWriter(&layer)
	// nobody's: the programs need no root.
	headers := []*tar.Header{
		{Name: "data/", Typeflag: tar.TypeDir, Mode: 0o755, Uid: 65534, Gid: 65534},
		{Name: program, Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(content))},
	}
	for _, header := range headers {
		if err := files.WriteHeader(header); err != nil {
			return nil, err
		}
	}
	if _, err := files.Write(content); err != nil {
		return nil, err
	}
	if err := files.Close(); err != nil {
		return nil, err
	}
	top, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer.Bytes())), nil })
	if err != nil {
		return nil, err
	}
	image, err := mutate.AppendLayers(empty.Image, top)
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Config = v1.Config{Entrypoint: []string{"/" + program}, User: "65534:65534"}
	if program == "store" {
		config.Config.Volumes = map[string]struct{}{"/data": {}}
	}
	return mutate.ConfigFile(image, config)
}
