package archive

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Owner is who gets what is unpacked.
type Owner struct{ UID, GID int }

// Unpack makes what a tar stream holds below a directory. What is there is replaced, but a directory never by something
// else nor something else by a directory, as `docker cp` has it. A nil owner keeps the stream's. It ends with the
// stream's end mark; what follows is left unread. An error leaves what was unpacked until then.
func Unpack(ctx context.Context, r io.Reader, root *os.Root, owner *Owner) error {
	u := &unpacker{root: root, owner: owner}
	in := tar.NewReader(&stopped{ctx, r})
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("cannot read the tar stream: %w", err)
		}
		name := path.Clean(strings.TrimLeft(h.Name, "/"))
		if name == "." { // the directory itself stays as it is
			continue
		}
		if err := u.entry(name, h, in); err != nil {
			return cannot("write", name, err)
		}
	}
	// Directories get their times last: what was made in them has changed them.
	for _, d := range slices.Backward(u.directories) {
		if err := root.Chtimes(d.name, d.at, d.at); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return cannot("write", d.name, err)
		}
	}
	return nil
}

type unpacker struct {
	root        *os.Root
	owner       *Owner
	directories []made
}

type made struct {
	name string
	at   time.Time
}

func (u *unpacker) entry(name string, h *tar.Header, content io.Reader) error {
	switch h.Typeflag {
	case tar.TypeXGlobalHeader:
		return nil
	case tar.TypeDir, tar.TypeReg, tar.TypeLink, tar.TypeSymlink, tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
	default:
		return fmt.Errorf("an entry of type %q is not known", h.Typeflag)
	}
	exists, err := u.clear(name, h.Typeflag == tar.TypeDir)
	if err != nil {
		return err
	}
	if dir := path.Dir(name); dir != "." { // a stream need not say every directory
		if err := u.root.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if h.Typeflag == tar.TypeLink {
		return u.root.Link(path.Clean(strings.TrimLeft(h.Linkname, "/")), name)
	}
	if err := u.make(name, h, exists, content); err != nil {
		return err
	}
	return u.dress(name, h)
}

// clear takes away what an entry replaces, and says whether the directory it means is there.
func (u *unpacker) clear(name string, directory bool) (exists bool, err error) {
	st, err := u.root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case st.IsDir() && !directory:
		return false, errors.New("cannot overwrite a directory with something else")
	case !st.IsDir() && directory:
		return false, errors.New("cannot overwrite something else with a directory")
	case st.IsDir():
		return true, nil
	}
	return false, u.root.Remove(name)
}

func (u *unpacker) make(name string, h *tar.Header, exists bool, content io.Reader) error {
	switch h.Typeflag {
	case tar.TypeDir:
		if exists {
			return nil
		}
		return u.root.Mkdir(name, 0o700)
	case tar.TypeSymlink:
		return u.root.Symlink(h.Linkname, name)
	case tar.TypeReg:
		return u.write(name, content)
	}
	kind := map[byte]uint32{tar.TypeChar: unix.S_IFCHR, tar.TypeBlock: unix.S_IFBLK, tar.TypeFifo: unix.S_IFIFO}[h.Typeflag]
	return in(u.root, name, func(dir int, base string) error {
		return unix.Mknodat(dir, base, kind|0o600, int(unix.Mkdev(uint32(h.Devmajor), uint32(h.Devminor))))
	})
}

// dress gives what was made its owner, mode, capabilities and times, in an order that loses none: chown(2) takes away
// setuid bits and capabilities.
func (u *unpacker) dress(name string, h *tar.Header) error {
	owner := Owner{h.Uid, h.Gid}
	if u.owner != nil {
		owner = *u.owner
	}
	if err := u.root.Lchown(name, owner.UID, owner.GID); err != nil {
		return err
	}
	if h.Typeflag == tar.TypeSymlink {
		return in(u.root, name, func(dir int, base string) error {
			at := unix.NsecToTimespec(h.ModTime.UnixNano())
			return unix.UtimesNanoAt(dir, base, []unix.Timespec{at, at}, unix.AT_SYMLINK_NOFOLLOW)
		})
	}
	if err := u.root.Chmod(name, h.FileInfo().Mode()); err != nil {
		return err
	}
	if h.Typeflag == tar.TypeDir {
		u.directories = append(u.directories, made{name, h.ModTime})
		return nil
	}
	if value := h.PAXRecords[capabilityKey]; value != "" && h.Typeflag == tar.TypeReg {
		if err := u.empower(name, value); err != nil {
			return err
		}
	}
	return u.root.Chtimes(name, h.ModTime, h.ModTime)
}

func (u *unpacker) empower(name, value string) error {
	f, err := u.root.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Fsetxattr(int(f.Fd()), capability, []byte(value), 0)
}
