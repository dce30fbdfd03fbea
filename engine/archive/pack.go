package archive

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Pack writes a file, or a directory with all that is in it, as a tar stream. Its entries are named as: `as`, `as/a`, …
// Owners, modes, times, links, devices and capabilities are kept; sockets are left out, as everybody does. What
// disappears while it is packed is left out too.
func Pack(ctx context.Context, w io.Writer, root *os.Root, name, as string) error {
	p := &packer{ctx: ctx, root: root, tar: tar.NewWriter(w), links: map[inode]string{}}
	st, err := root.Lstat(name)
	if err != nil {
		return cannot("read", name, err)
	}
	if err := p.pack(name, as, st); err != nil {
		return err
	}
	return p.tar.Close()
}

// PackAll writes what is in a directory, without the directory itself: its entries are named `a`, `a/b`, ….
func PackAll(ctx context.Context, w io.Writer, root *os.Root) error {
	p := &packer{ctx: ctx, root: root, tar: tar.NewWriter(w), links: map[inode]string{}}
	if err := p.content(".", ""); err != nil {
		return err
	}
	return p.tar.Close()
}

// inode is what hard links share.
type inode struct{ device, number uint64 }

type packer struct {
	ctx  context.Context //nolint:containedctx // of one call
	root *os.Root
	tar  *tar.Writer
	// links are the first names of files with several.
	links map[inode]string
}

func (p *packer) pack(name, as string, st fs.FileInfo) error {
	if err := p.ctx.Err(); err != nil {
		return context.Cause(p.ctx)
	}
	var err error
	switch mode := st.Mode(); {
	case mode.IsRegular():
		err = p.file(name, as)
	case mode.IsDir():
		return p.directory(name, as, st)
	case mode&fs.ModeSymlink != 0:
		var target string
		if target, err = p.root.Readlink(name); err == nil {
			err = p.entry(as, st, target)
		}
	case mode&fs.ModeSocket == 0:
		err = p.entry(as, st, "")
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return cannot("read", name, err)
	}
	return nil
}

// header is an entry's header. Names of owners are left out: they are the host's, who has other ones.
func header(as string, st fs.FileInfo, target string) (*tar.Header, error) {
	h, err := tar.FileInfoHeader(st, target)
	if err != nil {
		return nil, err
	}
	h.Name, h.Uname, h.Gname = as, "", ""
	// No stream can give them to a file, and reading a tree would change it.
	h.AccessTime, h.ChangeTime = time.Time{}, time.Time{}
	if st.IsDir() {
		h.Name += "/"
	}
	// Times to the nanosecond, and names and numbers of any length.
	h.Format = tar.FormatPAX
	return h, nil
}

func (p *packer) entry(as string, st fs.FileInfo, target string) error {
	h, err := header(as, st, target)
	if err != nil {
		return err
	}
	return p.tar.WriteHeader(h)
}

func (p *packer) directory(name, as string, st fs.FileInfo) error {
	if err := p.entry(as, st, ""); err != nil {
		return cannot("read", name, err)
	}
	return p.content(name, as+"/")
}

// content packs what is in a directory, each name behind the prefix.
func (p *packer) content(name, prefix string) error {
	dir, err := p.root.OpenFile(name, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return nil // another has come in its place
	}
	var list []fs.DirEntry
	if err == nil {
		list, err = dir.ReadDir(-1)
		dir.Close()
	}
	if err != nil {
		return cannot("read", name, err)
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	for _, e := range list {
		below := path.Join(name, e.Name())
		st, err := p.root.Lstat(below)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return cannot("read", below, err)
		}
		if err := p.pack(below, prefix+e.Name(), st); err != nil {
			return err
		}
	}
	return nil
}

// file packs a regular file as it is when it is open, and a further name of one as a link to the first.
func (p *packer) file(name, as string) error {
	// Whatever has come in the file's place since: O_NONBLOCK opens a FIFO without a wait.
	f, err := p.root.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if errors.Is(err, unix.ELOOP) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() {
		return err
	}
	h, err := header(as, st, "")
	if err != nil {
		return err
	}
	if sys := st.Sys().(*syscall.Stat_t); sys.Nlink > 1 {
		id := inode{sys.Dev, sys.Ino}
		if first, ok := p.links[id]; ok {
			h.Typeflag, h.Linkname, h.Size = tar.TypeLink, first, 0
			return p.tar.WriteHeader(h)
		}
		p.links[id] = as
	}
	fill(h, f)
	if err := p.tar.WriteHeader(h); err != nil {
		return err
	}
	n, err := io.Copy(p.tar, io.LimitReader(&stopped{p.ctx, f}, h.Size))
	if err == nil && n < h.Size { // it was cut since: its length is said already
		_, err = io.CopyN(p.tar, zeros{}, h.Size-n)
	}
	return err
}

// stopped is a reader that a context ends.
type stopped struct {
	ctx context.Context //nolint:containedctx // of one call
	io.Reader
}

func (s *stopped) Read(b []byte) (int, error) {
	if s.ctx.Err() != nil {
		return 0, context.Cause(s.ctx)
	}
	return s.Reader.Read(b)
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}
