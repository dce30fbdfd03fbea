package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sys/unix"
)

// pulled are the images that are pulled.
func pulled() []string { return []string{"nginx:1.22", "redis:7", "postgres:15", "node:20"} }

// anew puts images of the lab into its registry once more, on a layer that nobody has: images and caches of builds that a peer
// has kept would spare it fetching what they have in common with these, and docker knows a layer by those below it.
func anew(registry string) (names []string, err error) {
	base, err := random.Layer(1<<10, types.DockerLayer)
	if err != nil {
		return nil, err
	}
	for _, image := range pulled() {
		from, err := name.ParseReference(registry+"/library/"+image, name.Insecure)
		if err != nil {
			return nil, err
		}
		to, err := name.ParseReference(registry+"/pct-bench/"+image, name.Insecure)
		if err != nil {
			return nil, err
		}
		img, err := remote.Image(from) // the lab makes some when they are first asked for
		if err != nil {
			return nil, err
		}
		if img, err = onto(base, img); err != nil {
			return nil, err
		}
		if err := remote.Write(to, img); err != nil {
			return nil, err
		}
		names = append(names, to.String())
	}
	return names, nil
}

// onto is an image with one more layer below all others.
func onto(base v1.Layer, img v1.Image) (v1.Image, error) {
	layers, err := img.Layers()
	if err != nil {
		return nil, err
	}
	file, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	fresh, err := mutate.AppendLayers(empty.Image, append([]v1.Layer{base}, layers...)...)
	if err != nil {
		return nil, err
	}
	made, err := fresh.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.RootFS, file.History = made.RootFS, made.History
	return mutate.ConfigFile(fresh, file)
}

// pulls measures the pull of images that nobody has, from the lab's registry.
func pulls(dir string, o options, contenders []*contender) error {
	registry := os.Getenv("PCT_REGISTRY")
	conf := filepath.Join(dir, "registries.conf")
	err := writeFile(conf, fmt.Sprintf("[[registry]]\nlocation = %q\ninsecure = true\n", registry))
	if err != nil {
		return err
	}
	names, err := anew(registry)
	if err != nil {
		return err
	}
	file := "services:\n"
	for i, image := range names {
		file += fmt.Sprintf("  s%d: {image: %q}\n", i, image)
	}
	path := filepath.Join(dir, "pull", "compose.yaml")
	if err := writeFile(path, file); err != nil {
		return err
	}
	// containers-storage keeps a private mount on its overlay folder.
	defer func() { _ = unix.Unmount(filepath.Join(dir, podmanRoot, "overlay"), unix.MNT_DETACH) }()
	times := results{}
	const step = "pull of four images"
	for round := range o.runs {
		fmt.Fprintf(os.Stderr, "bench: pulls, round %d of %d\n", round+1, o.runs)
		for _, c := range contenders {
			took, err := c.pull(path, conf, names)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			fmt.Fprintf(os.Stderr, "  %-16s %6d ms\n", c.name, (took - c.overhead).Milliseconds())
			times.add(c.name, 0, step, took-c.overhead)
		}
	}
	printBuilds(os.Stdout, contenders, times, 0, []string{step})
	return nil
}

// podmanRoot is podman's own store for pulls: it finds layers of the same content wherever they are.
const podmanRoot = "podman"

// pull pulls images, and removes them afterwards.
func (c *contender) pull(file, conf string, names []string) (took time.Duration, err error) {
	engine := slices.Clone(c.engine)
	switch {
	case c.engine == nil:
		c.env = append(c.env, "CONTAINERS_REGISTRIES_CONF="+conf)
		took, err = c.compose(file, "pull")
		_, gone := c.run(append(slices.Clone(c.argv), append([]string{"image", "rm", "-f"}, names...)...)...)
		return took, errors.Join(err, gone)
	case c.name == "podman-compose":
		engine = append(engine, "--root", filepath.Join(filepath.Dir(conf), podmanRoot))
		took, err = c.run(append(slices.Clone(engine), append([]string{"pull", "-q", "--tls-verify=false"}, names...)...)...)
	default:
		took, err = c.compose(file, "pull")
	}
	_, gone := c.run(append(engine, append([]string{"rmi", "-f"}, names...)...)...)
	return took, errors.Join(err, gone)
}
