package archive

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// Place makes what is at a name in one directory, a file, a link or a directory without what is in it, the same at a name
// in another: with its mode, times and capabilities, and an owner as Unpack's. What is there is replaced by one rename, so
// that a reader finds the old content or the new, and never half of it; a directory is replaced by something else only
// where it is empty. The directories that the name is in are made where they are missing.
//
// What has gone meanwhile is an error that is fs.ErrNotExist; sockets, FIFOs and devices are left out. Killed, it leaves at
// most a hidden file, which the next Place of the same name takes away.
func Place(from *os.Root, name string, to *os.Root, as string, owner *Owner) error {
	u := &unpacker{root: to, owner: owner}
	st, err := from.Lstat(name)
	if err != nil {
		return cannot("read", name, err)
	}
	if mode := st.Mode(); mode.IsRegular() {
		return u.placeFile(from, name, as)
	} else if !mode.IsDir() && mode&fs.ModeSymlink == 0 {
		return nil
	}
	target := ""
	if !st.IsDir() {
		if target, err = from.Readlink(name); err != nil {
			return cannot("read", name, err)
		}
	}
	h, err := header(as, st, target)
	if err != nil {
		return cannot("read", name, err)
	}
	at := as
	if st.IsDir() {
		err = u.placeDirectory(as)
	} else if at, err = u.hidden(as); err == nil {
		err = to.Symlink(target, at)
	}
	if err == nil {
		err = u.dress(at, h)
	}
	if err == nil && !st.IsDir() {
		err = u.replace(at, as)
	}
	if err != nil {
		return cannot("write", as, err)
	}
	return nil
}

// placeFile is Place of a regular file, as it is when it is open.
func (u *unpacker) placeFile(from *os.Root, name, as string) error {
	// Whatever has come in the file's place since: O_NONBLOCK opens a FIFO without a wait.
	f, err := from.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return cannot("read", name, err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() {
		return err
	}
	h, err := header(as, st, "")
	if err != nil {
		return cannot("read", name, err)
	}
	fill(h, f)
	at, err := u.hidden(as)
	if err == nil {
		err = u.write(at, f)
	}
	if err == nil {
		err = u.dress(at, h)
	}
	if err == nil {
		err = u.replace(at, as)
	}
	if err != nil {
		return cannot("write", as, err)
	}
	return nil
}

// write makes a file that nobody else reads before it has its owner and mode.
func (u *unpacker) write(name string, content io.Reader) error {
	f, err := u.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Close())
}

// hidden is a name beside another that nothing has: what becomes of the other is made there first.
func (u *unpacker) hidden(name string) (string, error) {
	dir, base := path.Split(name)
	if dir != "" {
		if err := u.root.MkdirAll(path.Clean(dir), 0o755); err != nil {
			return "", err
		}
	}
	at := dir + ".pcompose~" + base
	if len(at)-len(dir) > unix.NAME_MAX {
		at = dir + ".pcompose~"
	}
	if err := u.root.Remove(at); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	return at, nil
}

// replace puts what was made at a hidden name in its place.
func (u *unpacker) replace(at, name string) error {
	err := u.root.Rename(at, name)
	// An empty directory gives way, as it does to a directory (rename(2)).
	if err != nil && u.root.Remove(name) == nil {
		err = u.root.Rename(at, name)
	}
	if err != nil {
		_ = u.root.Remove(at) // what it was made for failed, and says why
		if st, serr := u.root.Lstat(name); serr == nil && st.IsDir() {
			err = fmt.Errorf("cannot overwrite a directory that is not empty: %w", unix.EISDIR)
		}
	}
	return err
}

func (u *unpacker) placeDirectory(name string) error {
	st, err := u.root.Lstat(name)
	if err == nil && st.IsDir() {
		return nil
	}
	if err == nil {
		err = u.root.Remove(name)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if dir := path.Dir(name); dir != "." {
		if err := u.root.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	return u.root.Mkdir(name, 0o700)
}
