package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/pcompose/pcompose/engine/archive"
	"github.com/pcompose/pcompose/engine/rootfs"
	"golang.org/x/sys/unix"
)

// Files are the file systems of a project's containers.
type Files struct{ project *Project }

// FilesOf are a project's. They take no lock: what a container sees is changed by its processes too.
func FilesOf(p *Project) Files { return Files{p} }

// Copy says what is copied between a container and the host, by docker cp's rules.
type Copy struct {
	Container string
	// Inside is the path in the container, Outside the one on the host: absolute, or below the working directory.
	Inside, Outside string
	// Follow copies what a link in the source's last place leads to, not the link.
	Follow bool
	// Archive gives what is copied into the container to the container's user. Else its owners are kept.
	Archive bool
}

// CopyIn copies from the host into a container, which need not run.
func (f Files) CopyIn(ctx context.Context, c Copy) error {
	t, err := f.tree(ctx, c.Container)
	if err != nil {
		return err
	}
	defer t.close()
	var owner *archive.Owner
	if c.Archive {
		if owner, err = f.user(c.Container); err != nil {
			return err
		}
	}
	from, err := lookup(hostTree{}, c.Outside, c.Follow)
	if err != nil {
		return fmt.Errorf("cannot copy %q: %w", c.Outside, err)
	}
	defer from.close()
	to, as, err := destination(t, c.Inside, from)
	if err != nil {
		return fmt.Errorf("cannot copy to %q in container %q: %w", c.Inside, c.Container, err)
	}
	defer to.Close()
	return inContainer(c.Container, transfer(ctx, from, to, as, owner))
}

// inside finds what is to be copied from a container; done lets go of it.
func (f Files) inside(ctx context.Context, c Copy) (from place, done func(), err error) {
	t, err := f.tree(ctx, c.Container)
	if err != nil {
		return place{}, nil, err
	}
	if from, err = lookup(t, c.Inside, c.Follow); err != nil {
		t.close()
		return place{}, nil, fmt.Errorf("cannot copy %q of container %q: %w", c.Inside, c.Container, err)
	}
	return from, func() {
		from.close()
		t.close()
	}, nil
}

// CopyOut copies from a container, which need not run, to the host. What is copied belongs to the caller, as docker has
// it.
func (f Files) CopyOut(ctx context.Context, c Copy) error {
	from, done, err := f.inside(ctx, c)
	if err != nil {
		return err
	}
	defer done()
	to, as, err := destination(hostTree{}, c.Outside, from)
	if err != nil {
		return fmt.Errorf("cannot copy to %q: %w", c.Outside, err)
	}
	defer to.Close()
	return transfer(ctx, from, to, as, &archive.Owner{UID: os.Getuid(), GID: os.Getgid()})
}

// PackOut writes what CopyOut would copy as a tar stream.
func (f Files) PackOut(ctx context.Context, c Copy, w io.Writer) error {
	from, done, err := f.inside(ctx, c)
	if err != nil {
		return err
	}
	defer done()
	return archive.Pack(ctx, w, from.dir, from.name, from.base)
}

// UnpackIn unpacks a tar stream in a directory of a container.
func (f Files) UnpackIn(ctx context.Context, c Copy, r io.Reader) error {
	t, err := f.tree(ctx, c.Container)
	if err != nil {
		return err
	}
	defer t.close()
	var owner *archive.Owner
	if c.Archive {
		if owner, err = f.user(c.Container); err != nil {
			return err
		}
	}
	dir, err := t.open(c.Inside)
	if err != nil {
		return fmt.Errorf("cannot unpack in %q of container %q, which must be a directory: %w", c.Inside, c.Container, plainCause(err))
	}
	defer dir.Close()
	return inContainer(c.Container, archive.Unpack(ctx, r, dir, owner))
}

// user is who the container's process runs as, nil where nobody said so.
func (f Files) user(container string) (*archive.Owner, error) {
	r, err := f.project.record(container)
	if err != nil {
		return nil, err
	}
	config, err := f.project.engine.configOf(r.ImageID)
	who := cmp.Or(r.Container.User, config.User)
	if err != nil || who == "" {
		return nil, err
	}
	roots, err := f.project.engine.roots()
	if err != nil {
		return nil, err
	}
	root, err := roots.Mount(r.ID)
	if err != nil {
		return nil, err
	}
	id, err := rootfs.User(root, who, nil)
	if err != nil {
		return nil, fmt.Errorf("cannot tell the user of container %q: %w", container, err)
	}
	return &archive.Owner{UID: id.UID, GID: id.GID}, nil
}

// inContainer says what a read-only file system means here.
func inContainer(container string, err error) error {
	if errors.Is(err, unix.EROFS) {
		return fmt.Errorf("%w: container %q has it mounted read-only", err, container)
	}
	return err
}

// transfer copies what is found at a place to a directory, under another name.
func transfer(ctx context.Context, from place, to *os.Root, as string, owner *archive.Owner) error {
	r, w := io.Pipe()
	packed := make(chan error, 1)
	go func() {
		err := archive.Pack(ctx, w, from.dir, from.name, as)
		w.CloseWithError(err)
		packed <- err
	}()
	err := archive.Unpack(ctx, r, to, owner)
	r.CloseWithError(err)
	if packErr := <-packed; packErr != nil && (err == nil || errors.Is(err, packErr)) {
		return packErr
	}
	return err
}

// tree opens directories of a container's file system, or of the host's.
type tree interface {
	open(dir string) (*os.Root, error)
}

// hostTree is the host's.
type hostTree struct{}

func (hostTree) open(dir string) (*os.Root, error) { return os.OpenRoot(dir) }

// place is something in a tree: a name in a directory.
type place struct {
	dir  *os.Root
	name string
	st   fs.FileInfo
	// base is what a copy of it is called; "." for what is in a directory, without the directory.
	base string
}

func (p place) close() { p.dir.Close() }

// lookup finds what is at a path. A path that ends with a slash or a dot means the directory, else a link in the last
// place is itself meant, unless it is to be followed.
func lookup(t tree, name string, follow bool) (place, error) {
	base := path.Base(name)
	if strings.HasSuffix(name, "/.") || name == "." || base == "/" || base == ".." {
		base = "."
	}
	for range maxLinks {
		dir, last := split(name)
		root, err := t.open(dir)
		if err != nil {
			return place{}, plainCause(err)
		}
		st, err := root.Lstat(last)
		if err != nil {
			root.Close()
			return place{}, plainCause(err)
		}
		if !follow || st.Mode()&fs.ModeSymlink == 0 {
			return place{root, last, st, base}, nil
		}
		target, err := root.Readlink(last)
		root.Close()
		if err != nil {
			return place{}, plainCause(err)
		}
		if name = target; !path.IsAbs(target) {
			name = dir + "/" + target
		}
	}
	return place{}, unix.ELOOP
}

// maxLinks is how many links may follow each other, as the kernel has it (path_resolution(7)).
const maxLinks = 40

// split parts a path where its last name begins; "." where the path means a directory.
func split(name string) (dir, last string) {
	base := path.Base(name)
	if strings.HasSuffix(name, "/") || base == "." || base == ".." {
		return name, "."
	}
	if dir = path.Dir(name); strings.Contains(name, "/") { // path.Dir would take a ".." away together with a link
		dir = name[:strings.LastIndexByte(name, '/')+1]
	}
	return dir, base
}

// destination is the directory to unpack in and the name to give to what is copied there, by docker cp's table: into a
// directory that exists, over a file that exists, or under the name that does not exist yet.
func destination(t tree, name string, from place) (dir *os.Root, as string, err error) {
	to, err := lookup(t, name, true)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return newName(t, name, from)
	case err != nil:
		return nil, "", err
	case to.st.IsDir():
		if to.name == "." {
			return to.dir, from.base, nil
		}
		defer to.close()
		dir, err = to.dir.OpenRoot(to.name)
		return dir, from.base, plainCause(err)
	case from.st.IsDir():
		to.close()
		return nil, "", errors.New("a directory cannot be copied over a file")
	}
	return to.dir, to.name, nil
}

// newName is destination for what is not there.
func newName(t tree, name string, from place) (*os.Root, string, error) {
	if assertsDirectory(name) {
		if !from.st.IsDir() {
			return nil, "", errors.New("no such directory")
		}
		name = path.Clean(name)
	}
	dir, last := split(name)
	root, err := t.open(dir)
	if err != nil {
		return nil, "", fmt.Errorf("directory %q: %w", path.Clean(dir), plainCause(err))
	}
	// A link that leads nowhere means where it leads to, one step of it.
	if target, err := root.Readlink(last); err == nil {
		root.Close()
		if !path.IsAbs(target) {
			target = dir + "/" + target
		}
		dir, last = split(target)
		if root, err = t.open(dir); err != nil {
			return nil, "", fmt.Errorf("directory %q: %w", path.Clean(dir), plainCause(err))
		}
	}
	return root, last, nil
}

// assertsDirectory says whether a path says that it is a directory.
func assertsDirectory(name string) bool {
	return strings.HasSuffix(name, "/") || strings.HasSuffix(name, "/.") || name == "."
}

// plainCause is an error without the paths of descriptors that it names.
func plainCause(err error) error {
	var at *os.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}
