package main

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"go.podman.io/storage/pkg/archive"
	"golang.org/x/sys/unix"
)

// nameAnnotation holds an image's reference in the layout's index.
const nameAnnotation = "org.opencontainers.image.ref.name"

// images returns the OCI layout with all images, made first if the cache in dir does not have it.
// A layout appears whole or not at all; concurrent calls make it once.
func images(dir string) (string, error) {
	hash, err := recipeHash()
	if err != nil {
		return "", err
	}
	done := filepath.Join(dir, hash)
	if _, err := os.Stat(done); err == nil {
		return done, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return "", err
	}
	if _, err := os.Stat(done); err == nil {
		return done, nil
	}
	if os.Geteuid() != 0 {
		return "", errors.New("cannot make images: only root can mount and chroot")
	}
	return done, build(dir, done)
}

// build makes every image in a work folder of dir and moves the finished layout to done.
func build(dir, done string) error {
	work, err := os.MkdirTemp(dir, "work-")
	if err != nil {
		return err
	}
	// Nothing is mounted in here: every mount is made in a namespace that ended with its process.
	defer os.RemoveAll(work)
	if err := writeRecipes(work); err != nil {
		return err
	}
	all, err := readRecipes()
	if err != nil {
		return err
	}
	started := time.Now()
	progress := func(what string) {
		fmt.Fprintf(os.Stderr, "lab: %4.0f s  %s\n", time.Since(started).Seconds(), what)
	}

	progress("making the base, Debian bookworm")
	if err := command("bash", filepath.Join(work, "recipe", "base.sh"), filepath.Join(work, "base")); err != nil {
		return fmt.Errorf("cannot make the base: %w", err)
	}
	base, err := layer(filepath.Join(work, "base"), filepath.Join(work, "base.tar.gz"))
	if err != nil {
		return err
	}
	index, err := layout.Write(filepath.Join(work, "layout"), empty.Index)
	if err != nil {
		return err
	}
	for _, r := range all {
		progress("making " + r.Names[0])
		image, err := makeImage(work, base, r)
		if err != nil {
			return fmt.Errorf("cannot make %s: %w", r.Names[0], err)
		}
		for _, name := range r.Names {
			if err := index.AppendImage(image, layout.WithAnnotations(map[string]string{nameAnnotation: name})); err != nil {
				return err
			}
		}
	}
	progress("done")
	return os.Rename(filepath.Join(work, "layout"), done)
}

// makeImage runs the recipe over the base and makes an image of what it wrote.
func makeImage(work string, base v1.Layer, r recipe) (v1.Image, error) {
	layers := []v1.Layer{base}
	source := filepath.Join(work, "recipe", r.Dir)
	if _, err := os.Stat(filepath.Join(source, "install.sh")); err == nil {
		upper := filepath.Join(work, "upper")
		// Upper and overlay are one image's own; apt's lists and archives are kept for the next.
		for _, dir := range []string{upper, filepath.Join(work, "overlay")} {
			if err := os.RemoveAll(dir); err != nil {
				return nil, err
			}
		}
		for _, dir := range []string{"upper", "overlay", "merged", "lists", "archives"} {
			if err := os.MkdirAll(filepath.Join(work, dir), 0o755); err != nil {
				return nil, err
			}
		}
		err := command("unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private",
			"bash", filepath.Join(work, "recipe", "enter.sh"), work, source)
		if err != nil {
			return nil, err
		}
		top, err := layer(filepath.Join(upper, r.Root), filepath.Join(work, r.Dir+".tar.gz"))
		if err != nil {
			return nil, err
		}
		if layers = append(layers, top); r.Root != "" {
			layers = []v1.Layer{top}
		}
	}
	return assemble(layers, r)
}

// assemble puts layers and the recipe's configuration together.
func assemble(layers []v1.Layer, r recipe) (v1.Image, error) {
	now := v1.Time{Time: time.Now()}
	addenda := make([]mutate.Addendum, len(layers))
	for i, l := range layers {
		addenda[i] = mutate.Addendum{Layer: l, History: v1.History{Created: now, CreatedBy: "pcompose lab: " + r.Dir}}
	}
	image, err := mutate.Append(empty.Image, addenda...)
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created, config.Config = "linux", runtime.GOARCH, now, r.Config
	return mutate.ConfigFile(image, config)
}

// layer packs dir, which may be an overlay's upper directory, into the file and returns it as a layer.
func layer(dir, file string) (_ v1.Layer, err error) {
	content, err := archive.TarWithOptions(dir, &archive.TarOptions{WhiteoutFormat: archive.OverlayWhiteoutFormat})
	if err != nil {
		return nil, err
	}
	defer content.Close()
	out, err := os.Create(file)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	zip, err := gzip.NewWriterLevel(out, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(zip, content); err != nil {
		return nil, err
	}
	if err := zip.Close(); err != nil {
		return nil, err
	}
	return tarball.LayerFromFile(file)
}

func command(name string, args ...string) error {
	cmd := exec.Command(name, args...)
	// Standard output belongs to the lab's answer.
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	return cmd.Run()
}
