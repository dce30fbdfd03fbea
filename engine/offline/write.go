package offline

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/pcompose/pcompose/engine/archive"
	"github.com/pcompose/pcompose/engine/image"
)

// File is a file or folder to put into a bundle under a path of its folder. Source is a path of this machine, with links
// resolved; where it is "" the file is Content.
type File struct {
	Name, Source string
	Content      []byte
}

// Project is what a bundle is made of. Images lie in the layout that Write is given.
type Project struct {
	Contents
	Compose []byte
	Files   []File
	Images  []image.Kept
}

// Write adds a project to a layout and writes all of it as a bundle. dir is used up: each blob is gone once it is written.
func Write(ctx context.Context, w io.Writer, dir string, p Project) error {
	l := layout(filepath.Join(dir, v1.ImageBlobsDir, string(digest.Canonical)))
	if err := os.MkdirAll(string(l), 0o755); err != nil {
		return fmt.Errorf("cannot write bundle: %w", err)
	}
	top, err := l.describe(ctx, p)
	if err != nil {
		return fmt.Errorf("cannot write bundle: %w", err)
	}
	index := v1.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageIndex, Manifests: []v1.Descriptor{top}}
	for _, kept := range p.Images {
		d := kept.Descriptor
		d.Annotations = map[string]string{noteName: strings.TrimSuffix(kept.Name, "@"+d.Digest.String())}
		index.Manifests = append(index.Manifests, d)
	}
	if err := l.write(ctx, w, index); err != nil {
		return fmt.Errorf("cannot write bundle: %w", err)
	}
	return nil
}

// layout is the folder of the blobs of a layout.
type layout string

// describe adds the manifest of the project, and the blobs of it.
func (l layout) describe(ctx context.Context, p Project) (v1.Descriptor, error) {
	m := v1.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest, ArtifactType: artifactType}
	contents, err := json.Marshal(p.Contents)
	if err != nil {
		return v1.Descriptor{}, err
	}
	if m.Config, err = l.put(contentsType, func(w io.Writer) error { return all(w, contents) }); err != nil {
		return v1.Descriptor{}, err
	}
	compose, err := l.put(modelType, func(w io.Writer) error { return all(w, p.Compose) })
	if err != nil {
		return v1.Descriptor{}, err
	}
	m.Layers = []v1.Descriptor{compose}
	for _, f := range p.Files {
		files, err := l.put(filesType, func(w io.Writer) error { return pack(ctx, w, f) })
		if err != nil {
			return v1.Descriptor{}, err
		}
		m.Layers = append(m.Layers, files)
	}
	content, err := json.Marshal(m)
	if err != nil {
		return v1.Descriptor{}, err
	}
	d, err := l.put(v1.MediaTypeImageManifest, func(w io.Writer) error { return all(w, content) })
	d.ArtifactType = artifactType
	return d, err
}

func all(w io.Writer, content []byte) error {
	_, err := w.Write(content)
	return err
}

// pack writes a file or folder as a tar stream.
func pack(ctx context.Context, w io.Writer, f File) error {
	if f.Source == "" {
		t := tar.NewWriter(w)
		if err := t.WriteHeader(&tar.Header{Name: f.Name, Typeflag: tar.TypeReg, Mode: 0o600, Size: int64(len(f.Content)), ModTime: time.Unix(0, 0)}); err != nil {
			return err
		}
		_, err := t.Write(f.Content)
		return errors.Join(err, t.Close())
	}
	root, err := os.OpenRoot(filepath.Dir(f.Source))
	if err != nil {
		return err
	}
	defer root.Close()
	return archive.Pack(ctx, w, root, filepath.Base(f.Source), f.Name)
}

// put adds a blob.
func (l layout) put(kind string, write func(io.Writer) error) (_ v1.Descriptor, err error) {
	f, err := os.CreateTemp(string(l), "put-")
	if err != nil {
		return v1.Descriptor{}, err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	digester := digest.Canonical.Digester()
	err = write(io.MultiWriter(f, digester.Hash()))
	st, statErr := f.Stat()
	if err = errors.Join(err, statErr, f.Close()); err != nil {
		return v1.Descriptor{}, err
	}
	d := v1.Descriptor{MediaType: kind, Digest: digester.Digest(), Size: st.Size()}
	return d, os.Rename(f.Name(), filepath.Join(string(l), d.Digest.Encoded()))
}

// write writes the archive: what says what it is comes first.
func (l layout) write(ctx context.Context, w io.Writer, index v1.Index) error {
	entries, err := os.ReadDir(string(l))
	if err != nil {
		return err
	}
	version, err := json.Marshal(v1.ImageLayout{Version: v1.ImageLayoutVersion})
	if err != nil {
		return err
	}
	names, err := json.Marshal(index)
	if err != nil {
		return err
	}
	t := tar.NewWriter(w)
	for _, head := range []struct {
		name    string
		content []byte
	}{{v1.ImageLayoutFile, version}, {v1.ImageIndexFile, names}} {
		if err := entry(t, head.name, int64(len(head.content)), bytes.NewReader(head.content)); err != nil {
			return err
		}
	}
	slices.SortFunc(entries, func(a, b os.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	for _, e := range entries {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := l.move(t, e.Name()); err != nil {
			return err
		}
	}
	return t.Close()
}

// move writes a blob and removes it, so that the disk need not have all of it twice.
func (l layout) move(t *tar.Writer, name string) error {
	path := filepath.Join(string(l), name)
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if err := entry(t, strings.Join([]string{v1.ImageBlobsDir, string(digest.Canonical), name}, "/"), st.Size(), f); err != nil {
		return err
	}
	return os.Remove(path)
}

func entry(t *tar.Writer, name string, size int64, content io.Reader) error {
	if err := t.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: size, ModTime: time.Unix(0, 0)}); err != nil {
		return err
	}
	_, err := io.Copy(t, content)
	return err
}
