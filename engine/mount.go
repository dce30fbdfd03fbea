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
	"github.com/pcompose/pcompose/engine/volume"
	"github.com/pcompose/pcompose/pod"
)

// mounts resolves a container's mounts and its image's volumes to what is on the host, and fills new volumes
// from the image.
func (b *bundle) mounts(ctx context.Context) ([]ocispec.Mount, error) {
	r := b.record
	var all []ocispec.Mount
	named := map[string]bool{}
	for i, m := range r.Container.Mounts {
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
		if m.Subpath == "" {
			return path, nil
		}
		at := filepath.Join(b.dir, "subpaths", strconv.Itoa(number))
		if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
			return "", err
		}
		return at, volumes.BindSubpath(m.Source, m.Subpath, at)
	}
	return "", fmt.Errorf("mount of type %q on %s is not known", m.Type, m.Target)
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
