package main

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"go.podman.io/storage/pkg/archive"
	"golang.org/x/sys/unix"
)

// lab makes images when they are asked for and keeps them in a cache, each by the hash of its recipe: what one recipe changes costs
// that image alone. An image appears whole or not at all; concurrent labs make it once.
type lab struct {
	dir     string
	recipes []recipe
	// slots bounds how many images are made at once: they wait for the network as much as for a processor.
	slots chan struct{}

	started time.Time
	// prepare makes the work folder and the base, once, when the first image is made.
	prepare func() error
	work    string
	base    v1.Layer
}

func newLab(dir string) (*lab, error) {
	recipes, err := readRecipes()
	l := &lab{dir: dir, recipes: recipes, slots: make(chan struct{}, runtime.NumCPU()+1), started: time.Now()}
	l.prepare = sync.OnceValue(l.makeWork)
	return l, err
}

// close removes the work folder. Nothing is mounted in there: every mount is made in a namespace that ended with its process.
func (l *lab) close() error {
	if l.work == "" {
		return nil
	}
	return os.RemoveAll(l.work)
}

// made is an image that the cache has: its manifest is a blob like those of its layers.
type made struct {
	Names     []string
	MediaType types.MediaType
	Manifest  v1.Hash
}

// file says, once it is there, that the cache has the image of a recipe.
func (l *lab) file(r recipe) string { return filepath.Join(l.dir, "made", r.Dir+"-"+r.Hash) }

// all returns the images of all recipes, after it made those that the cache does not have, side by side.
func (l *lab) all() ([]made, error) {
	found, errs := make([]made, len(l.recipes)), make([]error, len(l.recipes))
	var group sync.WaitGroup
	for i, r := range l.recipes {
		group.Go(func() { found[i], errs[i] = l.image(r) })
	}
	group.Wait()
	return found, errors.Join(errs...)
}

// image returns the image of a recipe, made now unless the cache has it.
func (l *lab) image(r recipe) (made, error) {
	m, err := l.lookUp(r)
	if !errors.Is(err, os.ErrNotExist) {
		return m, err
	}
	if os.Geteuid() != 0 {
		return made{}, errors.New("cannot make images: only root can mount and chroot")
	}
	unlock, err := l.lock(r.Dir)
	if err != nil {
		return made{}, err
	}
	defer unlock()
	if m, err := l.lookUp(r); !errors.Is(err, os.ErrNotExist) {
		return m, err
	}
	if err := l.prepare(); err != nil {
		return made{}, fmt.Errorf("cannot make the base: %w", err)
	}
	l.slots <- struct{}{}
	defer func() { <-l.slots }()
	l.progress("making " + r.Names[0])
	image, err := l.makeImage(r)
	if err == nil {
		m, err = l.keep(image, r)
	}
	if err != nil {
		return made{}, fmt.Errorf("cannot make %s: %w", r.Names[0], err)
	}
	l.progress("made " + r.Names[0])
	return m, nil
}

func (l *lab) progress(what string) {
	fmt.Fprintf(os.Stderr, "lab: %4.0f s  %s\n", time.Since(l.started).Seconds(), what)
}

func (l *lab) lookUp(r recipe) (m made, err error) {
	content, err := os.ReadFile(l.file(r))
	if err == nil {
		err = json.Unmarshal(content, &m)
	}
	return m, err
}

// lock keeps other labs from making what has this name; whoever held it and was killed holds it no more.
func (l *lab) lock(name string) (unlock func(), err error) {
	dir := filepath.Join(l.dir, "locks")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() { _ = file.Close() }, nil
}

// makeWork makes the work folder, with the base and apt's lists in it.
func (l *lab) makeWork() (err error) {
	if err := os.MkdirAll(filepath.Join(l.dir, "made"), 0o755); err != nil {
		return err
	}
	if l.work, err = os.MkdirTemp(l.dir, "work-"); err != nil {
		return err
	}
	if err := writeRecipes(l.work); err != nil {
		return err
	}
	if l.base, err = l.makeBase(); err != nil {
		return err
	}
	// After the base was packed: its layer has no lists.
	return enter("bash", filepath.Join(l.work, "recipe", "lists.sh"), filepath.Join(l.work, "base"))
}

// makeBase makes the base in the work folder, from its layer where the cache has that, and returns the layer.
func (l *lab) makeBase() (v1.Layer, error) {
	hash, err := baseHash()
	if err != nil {
		return nil, err
	}
	unlock, err := l.lock("base")
	if err != nil {
		return nil, err
	}
	defer unlock()
	root, file := filepath.Join(l.work, "base"), filepath.Join(l.dir, "made", "base-"+hash+".tar.gz")
	if _, err := os.Stat(file); err == nil {
		if err := os.Mkdir(root, 0o755); err != nil {
			return nil, err
		}
		if err := command("tar", "-C", root, "-xpzf", file); err != nil {
			return nil, err
		}
		return tarball.LayerFromFile(file)
	}
	l.progress("making the base, Debian bookworm")
	if err := command("bash", filepath.Join(l.work, "recipe", "base.sh"), root); err != nil {
		return nil, err
	}
	if _, err := layer(root, filepath.Join(l.work, "base.tar.gz")); err != nil {
		return nil, err
	}
	if err := os.Rename(filepath.Join(l.work, "base.tar.gz"), file); err != nil {
		return nil, err
	}
	return tarball.LayerFromFile(file)
}

// keep puts an image into the cache.
func (l *lab) keep(image v1.Image, r recipe) (m made, err error) {
	if err := layout.Path(l.dir).WriteImage(image); err != nil {
		return m, err
	}
	m.Names = r.Names
	if m.MediaType, err = image.MediaType(); err != nil {
		return m, err
	}
	if m.Manifest, err = image.Digest(); err != nil {
		return m, err
	}
	content, err := json.Marshal(m)
	if err != nil {
		return m, err
	}
	if err := os.WriteFile(l.file(r)+".new", content, 0o644); err != nil {
		return m, err
	}
	return m, os.Rename(l.file(r)+".new", l.file(r))
}

// makeImage runs the recipe over the base and makes an image of what it wrote.
func (l *lab) makeImage(r recipe) (v1.Image, error) {
	source, own := filepath.Join(l.work, "recipe", r.Dir), filepath.Join(l.work, r.Dir)
	if _, err := os.Stat(filepath.Join(source, "install.sh")); err != nil {
		return assemble([]v1.Layer{l.base}, r)
	}
	for _, dir := range []string{"upper", "overlay", "merged", "archives"} {
		if err := os.MkdirAll(filepath.Join(own, dir), 0o755); err != nil {
			return nil, err
		}
	}
	// What is made on the machine itself lies beside the recipe, where the recipe finds it.
	if _, err := os.Stat(filepath.Join(source, "prepare.sh")); err == nil {
		if err := command("env", "-C", source, "bash", "-eu", "prepare.sh"); err != nil {
			return nil, err
		}
	}
	if err := enter("bash", filepath.Join(l.work, "recipe", "enter.sh"), filepath.Join(l.work, "base"), own, source); err != nil {
		return nil, err
	}
	top, err := layer(filepath.Join(own, "upper", r.Root), filepath.Join(l.work, r.Dir+".tar.gz"))
	if err != nil {
		return nil, err
	}
	if r.Root != "" {
		return assemble([]v1.Layer{top}, r)
	}
	return assemble([]v1.Layer{l.base, top}, r)
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

// enter runs a command whose mounts and processes end with it, however it ends.
func enter(argv ...string) error {
	return command("unshare", append([]string{"--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"}, argv...)...)
}

func command(name string, args ...string) error {
	cmd := exec.Command(name, args...)
	// Standard output belongs to the lab's answer.
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	return cmd.Run()
}
