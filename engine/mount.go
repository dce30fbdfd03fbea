package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/pcompose/pcompose/engine/ocispec"
	"github.com/pcompose/pcompose/engine/rootfs"
	"github.com/pcompose/pcompose/engine/volume"
	"github.com/pcompose/pcompose/pod"
)

// mounts resolves a container's mounts and its image's volumes to what is on the host, and fills new volumes
// from the image.
func (b *bundle) mounts(ctx context.Context) ([]ocispec.Mount, error) {
	r := b.record
	var all []ocispec.Mount
	named := map[string]bool{}
	for i, m := range r.Mounts() {
		if v := r.Anonymous[m.Target]; v != "" && m.Source == "" {
			m.Source = v
		}
		named[m.Target] = true
		path, err := b.mount(ctx, m, i)
		if err != nil {
			return nil, err
		}
		all = append(all, ocispec.Mount{Mount: m, HostPath: path})
	}
	for target, name := range r.Anonymous {
		if named[target] {
			continue
		}
		m := pod.Mount{Type: pod.MountVolume, Source: name, Target: target}
		path, err := b.mount(ctx, m, 0)
		if err != nil {
			return nil, err
		}
		all = append(all, ocispec.Mount{Mount: m, HostPath: path})
	}
	return all, nil
}

// mount makes what one mount shows, and returns where it is on the host. Number tells apart a container's mounts.
func (b *bundle) mount(ctx context.Context, m pod.Mount, number int) (string, error) {
	switch m.Type {
	case pod.MountBind:
		return m.Source, bindSource(m)
	case pod.MountTmpfs:
		return "", nil
	case pod.MountVolume:
		volumes := b.project.engine.volumes
		path, err := volumes.Mount(m.Source)
		if err != nil {
			return "", err
		}
		if !m.NoCopy && m.Subpath == "" {
			if err := volumes.Populate(ctx, m.Source, b.root, m.Target); err != nil {
				return "", err
			}
		}
		return b.within(path, m, number), nil
	case pod.MountImage:
		roots, err := b.project.engine.roots()
		if err != nil {
			return "", err
		}
		path, err := roots.Mount(b.record.Mounted[m.Target].Root)
		return b.within(path, m, number), err
	}
	return "", fmt.Errorf("mount of type %q on %s is not known", m.Type, m.Target)
}

// within is where a mount of a volume or an image is on the host: its own path, or where bindSubpaths will put its
// subpath.
func (b *bundle) within(path string, m pod.Mount, number int) string {
	if m.Subpath == "" {
		return path
	}
	return filepath.Join(b.dir, "subpaths", strconv.Itoa(number))
}

// bindSubpaths puts the subpaths of volumes and images where config.json has them, as they are now: what a container
// is to start with may have come, or been swapped for a link, since it was made (CVE-2017-1002101 and
// CVE-2021-25741, see volume.BindSubpath). A container that runs keeps what it has.
func (b *bundle) bindSubpaths() error {
	for i, m := range b.record.Mounts() {
		if m.Subpath == "" {
			continue
		}
		path, what := "", fmt.Sprintf("volume %q", m.Source)
		var err error
		if m.Type == pod.MountImage {
			var roots *rootfs.Roots
			what = fmt.Sprintf("image %q", m.Source)
			if roots, err = b.project.engine.roots(); err == nil {
				path, err = roots.Mount(b.record.Mounted[m.Target].Root)
			}
		} else {
			path, err = b.project.engine.volumes.Mount(m.Source)
		}
		at := b.within(path, m, i)
		if err == nil {
			err = errors.Join(os.MkdirAll(filepath.Dir(at), 0o700), volume.Unbind(at))
		}
		if err == nil {
			err = volume.BindSubpath(path, m.Subpath, at)
		}
		if err != nil {
			return fmt.Errorf("cannot mount %q of %s on %s: %w", m.Subpath, what, m.Target, err)
		}
	}
	return nil
}

func bindSource(m pod.Mount) error {
	_, err := os.Stat(m.Source)
	if errors.Is(err, fs.ErrNotExist) && m.CreateHostPath {
		err = os.MkdirAll(m.Source, 0o755)
	}
	if err != nil {
		return fmt.Errorf("cannot mount %s on %s: %w", m.Source, m.Target, err)
	}
	return nil
}

// unbindAll undoes the mounts of subpaths below a bundle.
func unbindAll(bundle string) error {
	entries, err := os.ReadDir(filepath.Join(bundle, "subpaths"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		err = errors.Join(err, volume.Unbind(filepath.Join(bundle, "subpaths", e.Name())))
	}
	return err
}
