package offline

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/manifest"

	"github.com/pcompose/pcompose/engine/archive"
	"github.com/pcompose/pcompose/engine/cache"
	"github.com/pcompose/pcompose/engine/image"
)

// Bundle is a bundle that is read. Blobs are read where they lie, each held against its digest.
type Bundle struct {
	Contents
	// ID is the digest of all it says and has.
	ID digest.Digest
	// Images are those of Contents with what they are.
	Images []image.Kept

	file     *os.File
	blobs    map[digest.Digest]place
	manifest v1.Manifest
}

// place is where in the file a blob lies.
type place struct{ offset, size int64 }

// Open reads what a bundle has, and finds out whether all of it is there; the content of layers is not read yet.
func Open(path string) (_ *Bundle, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, cannot(path, err)
	}
	b := &Bundle{file: file, blobs: map[digest.Digest]place{}}
	defer func() {
		if err != nil {
			file.Close()
		}
	}()
	index, err := b.index()
	if err == nil {
		err = b.understand(index)
	}
	if err == nil {
		err = b.complete()
	}
	if err != nil {
		return nil, cannot(path, err)
	}
	return b, nil
}

func cannot(path string, err error) error {
	var at *os.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	return fmt.Errorf("cannot read bundle %q: %w", path, err)
}

// Path is the file it is read from.
func (b *Bundle) Path() string { return b.file.Name() }

// Close ends its use.
func (b *Bundle) Close() error { return b.file.Close() }

// index finds the blobs of the archive, and gives its index.json. Other entries mean nothing, whatever their names: no
// entry is ever unpacked by its name.
func (b *Bundle) index() (index v1.Index, err error) {
	st, err := b.file.Stat()
	if err != nil {
		return index, err
	}
	if !st.Mode().IsRegular() {
		return index, errors.New("it is not a regular file: a bundle is read at any place of it")
	}
	var content []byte
	in := tar.NewReader(b.file)
	for entries := 0; ; entries++ {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || entries > maxEntries {
			return index, unreadable(entries, err)
		}
		at, err := b.file.Seek(0, io.SeekCurrent)
		if err != nil {
			return index, err
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if at+h.Size > st.Size() {
			return index, errors.New("it is cut short: copy it anew")
		}
		if h.Name == v1.ImageIndexFile && content == nil {
			if content, err = io.ReadAll(io.LimitReader(in, maxIndex)); err != nil {
				return index, err
			}
		}
		b.note(h.Name, place{at, h.Size})
	}
	return parseIndex(content)
}

// note keeps where a blob is: the first of its name, and only if its name is that of a blob.
func (b *Bundle) note(entry string, at place) {
	encoded, ok := strings.CutPrefix(entry, v1.ImageBlobsDir+"/"+string(digest.Canonical)+"/")
	id := digest.NewDigestFromEncoded(digest.Canonical, encoded)
	if _, twice := b.blobs[id]; ok && id.Validate() == nil && !twice {
		b.blobs[id] = at
	}
}

// parseIndex reads the index.json of a bundle; nil is an archive that has none.
func parseIndex(content []byte) (index v1.Index, err error) {
	if content == nil {
		return index, errors.New("it is no bundle: `pcompose bundle save` makes them")
	}
	if err := json.Unmarshal(content, &index); err != nil {
		return index, fmt.Errorf("its index.json is not valid: %w", err)
	}
	return index, nil
}

// unreadable says what is wrong with an archive after so many good entries.
func unreadable(entries int, err error) error {
	switch {
	case err == nil:
		return fmt.Errorf("it has more than %d entries", maxEntries)
	case entries == 0:
		return errors.New("it is no tar archive, and so no bundle: `pcompose bundle save` makes them")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("it is cut short: copy it anew")
	}
	return fmt.Errorf("it is damaged: copy it anew: %w", err)
}

// understand reads the project's manifest and contents.
func (b *Bundle) understand(index v1.Index) error {
	at := slices.IndexFunc(index.Manifests, func(d v1.Descriptor) bool { return d.ArtifactType == artifactType })
	if at < 0 {
		return errors.New("it has images, but no project: `pcompose image load` takes archives of images")
	}
	b.ID = index.Manifests[at].Digest
	if err := b.decode(b.ID, &b.manifest); err != nil {
		return err
	}
	if len(b.manifest.Layers) == 0 || b.manifest.Layers[0].MediaType != modelType || b.manifest.Config.MediaType != contentsType {
		return errors.New("its manifest is not valid")
	}
	if err := b.decode(b.manifest.Config.Digest, &b.Contents); err != nil {
		return err
	}
	for _, d := range index.Manifests {
		if name := d.Annotations[noteName]; name != "" && d.ArtifactType == "" {
			b.Images = append(b.Images, image.Kept{Name: name + "@" + d.Digest.String(), Descriptor: d})
		}
	}
	return nil
}

func (b *Bundle) decode(id digest.Digest, into any) error {
	content, err := b.read(id, maxIndex)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(content, into); err != nil {
		return fmt.Errorf("%s is not valid: %w", id, err)
	}
	return nil
}

// read is a blob of at most limit bytes.
func (b *Bundle) read(id digest.Digest, limit int64) ([]byte, error) {
	content, err := image.ReadBlob(b, id, limit)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("it is cut short: %s is missing: copy it anew", id)
	}
	return content, err
}

// complete finds blobs that are missing, before anything is made of the others. Of an index one image must be there.
func (b *Bundle) complete() error {
	for _, l := range b.manifest.Layers {
		if _, ok := b.blobs[l.Digest]; !ok {
			return fmt.Errorf("it is cut short: %s is missing: copy it anew", l.Digest)
		}
	}
	named := map[string]bool{}
	for _, kept := range b.Images {
		named[kept.Name] = true
		content, err := b.read(kept.Descriptor.Digest, maxIndex)
		if err != nil {
			return err
		}
		images := [][]byte{content}
		if kind := kept.Descriptor.MediaType; manifest.MIMETypeIsMultiImage(kind) {
			if images, err = b.instances(content, kind); err != nil {
				return fmt.Errorf("image %q: %w", kept.Name, err)
			}
		}
		for _, content := range images {
			if err := b.completeImage(content); err != nil {
				return fmt.Errorf("image %q: %w", kept.Name, err)
			}
		}
	}
	for _, name := range b.Contents.Images {
		if !named[name] {
			return fmt.Errorf("image %q is missing", name)
		}
	}
	return nil
}

// instances are the manifests of an index that the bundle has.
func (b *Bundle) instances(content []byte, kind string) ([][]byte, error) {
	list, err := manifest.ListFromBlob(content, kind)
	if err != nil {
		return nil, err
	}
	var found [][]byte
	for _, id := range list.Instances() {
		if _, ok := b.blobs[id]; ok {
			content, err := b.read(id, maxIndex)
			if err != nil {
				return nil, err
			}
			found = append(found, content)
		}
	}
	if len(found) == 0 {
		return nil, errors.New("it has it for no platform")
	}
	return found, nil
}

func (b *Bundle) completeImage(content []byte) error {
	m, err := manifest.FromBlob(content, manifest.GuessMIMEType(content))
	if err != nil {
		return err
	}
	needed := []digest.Digest{m.ConfigInfo().Digest}
	for _, l := range m.LayerInfos() {
		needed = append(needed, l.Digest)
	}
	for _, id := range needed {
		if _, ok := b.blobs[id]; !ok {
			return fmt.Errorf("it is cut short: %s is missing: copy it anew", id)
		}
	}
	return nil
}

// Blob is a blob as the archive has it.
func (b *Bundle) Blob(id digest.Digest) (io.ReadCloser, int64, error) {
	at, ok := b.blobs[id]
	if !ok {
		return nil, 0, fmt.Errorf("blob %s: %w", id, fs.ErrNotExist)
	}
	return io.NopCloser(io.NewSectionReader(b.file, at.offset, at.size)), at.size, nil
}

// Size is the bytes of all blobs.
func (b *Bundle) Size() int64 {
	var size int64
	for _, at := range b.blobs {
		size += at.size
	}
	return size
}

// Compose is the Compose file.
func (b *Bundle) Compose() ([]byte, error) {
	return b.read(b.manifest.Layers[0].Digest, maxModel)
}

// Unpack puts the Compose file and the files of a bundle into a folder of dir, once, and gives its path. The folder stays: containers
// mount files of it. Killed on the way, it leaves what the next call removes.
func (b *Bundle) Unpack(ctx context.Context, dir cache.Dir) (folder string, err error) {
	folder, err = dir.Get(ctx, b.ID.Encoded(), func(into string) error {
		compose, err := b.Compose()
		if err != nil {
			return err
		}
		root, err := os.OpenRoot(into)
		if err != nil {
			return err
		}
		defer root.Close()
		for _, l := range b.manifest.Layers[1:] {
			if err := b.unpack(ctx, root, l); err != nil {
				return err
			}
		}
		// Last, and never through a link that the files have brought.
		if err := root.Remove(ComposeFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return root.WriteFile(ComposeFile, compose, 0o600)
	})
	if err != nil {
		return "", fmt.Errorf("cannot unpack bundle %q: %w", b.file.Name(), err)
	}
	return folder, nil
}

// unpack unpacks a layer. What it leaves when its digest is wrong goes with the folder.
func (b *Bundle) unpack(ctx context.Context, root *os.Root, layer v1.Descriptor) error {
	if layer.MediaType != filesType {
		return fmt.Errorf("it has files of an unknown kind, %q", layer.MediaType)
	}
	stream, _, err := b.Blob(layer.Digest)
	if err != nil {
		return err
	}
	verifier := layer.Digest.Verifier()
	content := io.TeeReader(stream, verifier)
	if err := archive.Unpack(ctx, content, root, nil); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, content); err != nil {
		return err
	}
	if !verifier.Verified() {
		return fmt.Errorf("%s is damaged: copy the bundle anew", layer.Digest)
	}
	return nil
}

// GiveSecret puts the content of a file into the folder of an unpacked bundle that was saved without that secret. The file is there
// as a whole or as it was; given again it is another.
func GiveSecret(folder, name, file string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("cannot read secret %q: %w", name, err)
	}
	// Names and folders are the bundle's.
	root, err := os.OpenRoot(folder)
	if err != nil {
		return fmt.Errorf("cannot keep secret %q: %w", name, err)
	}
	defer root.Close()
	at := SecretsDir + "/" + name
	if err = root.MkdirAll(SecretsDir, 0o700); err == nil {
		err = root.WriteFile(at+".new", content, 0o600)
	}
	if err == nil {
		err = root.Rename(at+".new", at)
	}
	if err != nil {
		return fmt.Errorf("cannot keep secret %q: %w", name, err)
	}
	return nil
}

// HasSecret says whether such a secret was given.
func HasSecret(folder, name string) bool {
	_, err := os.Stat(filepath.Join(folder, SecretsDir, name))
	return err == nil
}
