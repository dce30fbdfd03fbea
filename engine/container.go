package engine

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pcompose/pcompose/engine/execute"
	"github.com/pcompose/pcompose/engine/image"
	"github.com/pcompose/pcompose/engine/ocispec"
	"github.com/pcompose/pcompose/engine/rootfs"
	"github.com/pcompose/pcompose/engine/state"
	"github.com/pcompose/pcompose/planner"
	"github.com/pcompose/pcompose/pod"
	"github.com/pcompose/pcompose/pod/control"
)

// anonymousLabel marks volumes that no file names, so that a prune may take them.
const anonymousLabel = "com.docker.volume.anonymous"

// createContainer makes a container's root and its bundle. Its record, with its ID, is written first.
func (p *Project) createContainer(ctx context.Context, a planner.CreateContainer, report func(execute.Progress)) error {
	if err := create(ctx, p, a, report); err != nil {
		return fmt.Errorf("cannot create container %q: %w", a.Container.Name, err)
	}
	return nil
}

func create(ctx context.Context, p *Project, a planner.CreateContainer, report func(execute.Progress)) error {
	c := a.Container
	img, config, err := p.engine.imageOf(c.Image)
	if err != nil {
		return err
	}
	if err := ofPlatform(c, config); err != nil {
		return err
	}
	r, err := p.record(c.Name)
	if err != nil { // a record means that a killed command had begun with the same plan
		r = state.Record{
			ID: newID(), Container: c, ImageID: img.ID, CreatedAt: time.Now(), Argv: ocispec.Args(c, imageConfig(config)),
		}
		from, err := givers(p, c)
		if err != nil {
			return err
		}
		r.Taken = taken(c, from)
		if r.Mounted, err = mountedImages(p.engine, r.Mounts()); err != nil {
			return err
		}
		err = p.edit(func(s *state.Project) {
			reuse := s.Kept[c.Name]
			if shares, ok := s.Containers[a.Shares]; ok {
				reuse = shares.Anonymous
			}
			r.Anonymous = anonymous(r.Mounts(), config, reuse)
			delete(s.Kept, c.Name)
			s.Containers[c.Name] = r
		})
		if err != nil {
			return err
		}
	}
	if r.ImageID != img.ID { // the name has come to mean another image since that command
		if config, err = p.engine.configOf(r.ImageID); err != nil {
			return err
		}
	}
	for _, v := range r.Anonymous {
		if err := p.engine.volumes.Create(pod.Volume{Name: v, Labels: map[string]string{anonymousLabel: ""}}); err != nil {
			return err
		}
	}
	roots, err := p.engine.roots()
	if err != nil {
		return err
	}
	ids, err := idMaps(c.Isolation.User)
	if err != nil {
		return err
	}
	options := rootfs.Options{Project: p.name, StorageOpt: c.Storage, LabelOpts: labelOpts(c), IDs: ids}
	if err := roots.Create(r.ID, rootName(r), r.ImageID, options); err != nil {
		return err
	}
	if err := makeMounted(roots, p.name, r); err != nil {
		return err
	}
	if err := p.bundle(r).make(ctx, config, report); err != nil {
		return err
	}
	note(p, r, "create")
	return nil
}

// labelOpts are the SELinux options of a container's root; a privileged one is not confined.
func labelOpts(c pod.Container) []string {
	if c.Isolation.Privileged && len(c.Isolation.Label) == 0 {
		return []string{"disable"}
	}
	return c.Isolation.Label
}

// ofPlatform refuses an image of another platform than the file asks for: it was pulled before, or its registry has no
// other.
func ofPlatform(c pod.Container, config image.RunConfig) error {
	if c.Platform == "" {
		return nil
	}
	system, rest, _ := strings.Cut(c.Platform, "/")
	architecture, _, _ := strings.Cut(rest, "/")
	if system == config.OS && (architecture == "" || architecture == config.Architecture) {
		return nil
	}
	return fmt.Errorf("image %q in the store is for %s/%s, and platform asks for %s: `pcompose image pull --platform %s %s` brings it, if its registry has it",
		c.Image, config.OS, config.Architecture, c.Platform, c.Platform, c.Image)
}

// imageOf is the image of a reference, with its configuration.
func (e *Engine) imageOf(ref string) (pod.Image, image.RunConfig, error) {
	store, err := e.store()
	if err != nil {
		return pod.Image{}, image.RunConfig{}, err
	}
	img, err := store.Lookup(ref)
	if err != nil {
		return img, image.RunConfig{}, err
	}
	config, err := store.Config(img.ID)
	return img, config, err
}

// imageConfig is what a spec is made from of an image's configuration.
func imageConfig(c image.RunConfig) ocispec.ImageConfig {
	return ocispec.ImageConfig{Env: c.Env, Entrypoint: c.Entrypoint, Cmd: c.Cmd, User: c.User, WorkingDir: c.WorkingDir}
}

// anonymous names a volume for every path that wants one without naming it: in the file, or in the image where
// the file mounts nothing there. Those of the container that is replaced are taken over.
func anonymous(mounts []pod.Mount, config image.RunConfig, reuse map[string]string) map[string]string {
	mounted := map[string]bool{}
	volumes := map[string]string{}
	name := func(path string) {
		volumes[path] = reuse[path]
		if volumes[path] == "" {
			volumes[path] = newID()
		}
	}
	for _, m := range mounts {
		mounted[m.Target] = true
		if m.Type == pod.MountVolume && m.Source == "" {
			name(m.Target)
		}
	}
	for _, path := range config.Volumes {
		if !mounted[path] && !ofKernel(path) {
			name(path)
		}
	}
	return volumes
}

// ofKernel says whether a path is, has or lies in one of those that the kernel's file systems belong on. What an image
// puts there would be what the runtime finds its devices and masks by (CVE-2019-16884, CVE-2025-31133, CVE-2026-88265).
func ofKernel(target string) bool {
	target = path.Clean("/" + target)
	return target == "/" || slices.ContainsFunc([]string{"/proc", "/sys", "/dev"}, func(dir string) bool {
		return target == dir || strings.HasPrefix(target, dir+"/")
	})
}

// newID is 64 random hexadecimal digits, as containers-storage and docker have them.
func newID() string {
	b := make([]byte, 32)
	rand.Read(b) // never fails (crypto/rand)
	return hex.EncodeToString(b)
}

// startContainer makes the supervisor start a container. After a reboot its mounts and its bundle are made anew, and of a
// user's container also once the mount namespace that it was created in has gone with the last pod.
func (p *Project) startContainer(ctx context.Context, a planner.StartContainer, report func(execute.Progress)) error {
	name := a.Name
	r, err := p.record(name)
	if err != nil {
		return err
	}
	dir := p.engine.state.BundleDir(p.name, r.ID)
	if _, err := control.ReadBundle(dir); errors.Is(err, fs.ErrNotExist) || err == nil && !rootMounted(dir) {
		config, err := p.engine.configOf(r.ImageID)
		if err == nil {
			err = p.bundle(r).make(ctx, config, report)
		}
		if err != nil {
			return fmt.Errorf("cannot start container %q: %w", name, err)
		}
	}
	if err := errors.Join(p.bundle(r).bindSubpaths(), p.bundle(r).writeHosts(ctx)); err != nil {
		return fmt.Errorf("cannot start container %q: %w", name, err)
	}
	_, err = p.client().ask(ctx, control.Request{Start: &control.Start{ID: r.ID}})
	if err == nil && a.Restart {
		note(p, r, "restart")
	}
	return err
}

// rootMounted says whether the root that a bundle names is mounted.
func rootMounted(dir string) bool {
	var spec struct{ Root struct{ Path string } }
	text, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil || json.Unmarshal(text, &spec) != nil {
		return false
	}
	var st unix.Statx_t
	err = unix.Statx(unix.AT_FDCWD, spec.Root.Path, unix.AT_SYMLINK_NOFOLLOW, 0, &st)
	// The attribute is told from Linux 5.8 on: before, nothing is known against it.
	return err == nil && (st.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT == 0 || st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0)
}

func (e *Engine) configOf(imageID string) (image.RunConfig, error) {
	store, err := e.store()
	if err != nil {
		return image.RunConfig{}, err
	}
	return store.Config(imageID)
}

// updateContainer changes what needs no new container, here and in the supervisor.
func (p *Project) updateContainer(ctx context.Context, a planner.UpdateContainer) error {
	var r state.Record
	err := p.edit(func(s *state.Project) {
		r = s.Containers[a.Container.Name]
		r.Container = a.Container
		s.Containers[a.Container.Name] = r
	})
	if err != nil {
		return err
	}
	dir := p.engine.state.BundleDir(p.name, r.ID)
	b, err := control.ReadBundle(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the next start writes it
	}
	config, confErr := p.engine.configOf(r.ImageID)
	if err = errors.Join(err, confErr); err != nil {
		return err
	}
	b.Container = effective(a.Container, config)
	_, err = p.client().ask(ctx, control.Request{Update: &control.Update{ID: r.ID, Container: b.Container}})
	if errors.Is(err, errDown) {
		err = control.WriteBundle(dir, b)
	}
	return err
}

// effective is a container with what its image decides filled in, as the supervisor needs it.
func effective(c pod.Container, config image.RunConfig) pod.Container {
	if c.Stop.Signal == "" {
		c.Stop.Signal = config.StopSignal
	}
	switch {
	case config.Healthcheck == nil:
	case c.Health == nil:
		c.Health = config.Healthcheck
	case len(c.Health.Test) == 0: // the file changes times only
		h := *c.Health
		h.Test = config.Healthcheck.Test
		c.Health = &h
	}
	c.Env = nil // the bundle's config.json has it; secrets need no second place
	c.Files = nil
	return c
}
