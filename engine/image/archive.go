package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"go.podman.io/common/libimage"
	dockerarchive "go.podman.io/image/v5/docker/archive"
	ociarchive "go.podman.io/image/v5/oci/archive"
	"go.podman.io/image/v5/types"
)

// Formats of archives.
const (
	// DockerArchive is what `docker save` writes; it can hold several images.
	DockerArchive = "docker-archive"
	// OCIArchive is an image-spec layout in a tar; it holds one image.
	OCIArchive = "oci-archive"
)

// Save writes images into w as one archive. Nothing is written before the archive is whole.
func (s *Store) Save(ctx context.Context, refs []string, format string, w io.Writer) error {
	if err := s.save(ctx, refs, format, w); err != nil {
		return fmt.Errorf("cannot save image \"%s\": %w", strings.Join(refs, `", "`), err)
	}
	return nil
}

func (s *Store) save(ctx context.Context, refs []string, format string, w io.Writer) error {
	if format != DockerArchive && format != OCIArchive {
		return fmt.Errorf("format %q is neither %s nor %s", format, DockerArchive, OCIArchive)
	}
	if format == OCIArchive && len(refs) != 1 {
		return fmt.Errorf("an %s holds one image", OCIArchive)
	}
	// libimage would resolve short names its own way; it is given what Lookup finds.
	var names []string
	for _, ref := range refs {
		img, err := s.find(ref)
		if err != nil {
			return err
		}
		if name := nameMeant(&s.sys, ref, img); name != "" {
			names = append(names, name)
		} else {
			names = append(names, img.ID)
		}
	}
	library, err := s.library()
	if err != nil {
		return err
	}
	// The archive libraries want a path they can write at will; a pipe would hang them when its reader is gone.
	spool, err := os.CreateTemp(library.SystemContext().BigFilesTemporaryDir, "pcompose-save-*.tar")
	if err != nil {
		return err
	}
	defer os.Remove(spool.Name())
	defer spool.Close()
	if err := library.Save(ctx, names, format, spool.Name(), nil); err != nil {
		return errors.New(cause(err.Error()))
	}
	// It may be another file under that name by now.
	written, err := os.Open(spool.Name())
	if err != nil {
		return err
	}
	defer written.Close()
	// Gone before it is read: SIGPIPE, of a reader that has gone, would leave it.
	if err := os.Remove(spool.Name()); err != nil {
		return err
	}
	_, err = io.Copy(w, written)
	return err
}

// Load stores the images of an archive, docker's or OCI's, compressed or not, and gives their names; an image without
// one is given as sha256:ID.
func (s *Store) Load(ctx context.Context, r io.Reader) ([]string, error) {
	names, err := s.load(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("cannot load images: %w", err)
	}
	return names, nil
}

func (s *Store) load(ctx context.Context, r io.Reader) ([]string, error) {
	library, err := s.library()
	if err != nil {
		return nil, err
	}
	path, done, err := onDisk(r, library.SystemContext().BigFilesTemporaryDir)
	if err != nil {
		return nil, err
	}
	defer done()
	oci, err := ociarchive.NewReference(path, "")
	if err != nil {
		return nil, err
	}
	docker, err := dockerarchive.NewReference(path, nil)
	if err != nil {
		return nil, err
	}
	var causes []string
	for _, source := range []types.ImageReference{docker, oci} {
		names, err := library.LoadReference(ctx, source, &libimage.LoadOptions{})
		if err == nil {
			return names, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		causes = append(causes, fmt.Sprintf("as %s: %s", source.Transport().Name(), cause(err.Error())))
	}
	return nil, errors.New(strings.Join(causes, "; "))
}

// onDisk gives a path to read from: the archive libraries read an archive several times. A file is read where it is.
func onDisk(r io.Reader, dir string) (path string, done func(), err error) {
	if file, ok := r.(*os.File); ok && !strings.Contains(file.Name(), ":") {
		open, err1 := file.Stat()
		named, err2 := os.Stat(file.Name())
		if err1 == nil && err2 == nil && open.Mode().IsRegular() && os.SameFile(open, named) {
			return file.Name(), func() {}, nil
		}
	}
	spool, err := os.CreateTemp(dir, "pcompose-load-*.tar")
	if err != nil {
		return "", nil, err
	}
	done = func() { os.Remove(spool.Name()) }
	_, err = io.Copy(spool, r)
	if err = errors.Join(err, spool.Close()); err != nil {
		done()
		return "", nil, err
	}
	return spool.Name(), done, nil
}
