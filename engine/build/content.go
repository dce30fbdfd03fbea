package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	securejoin "github.com/cyphar/filepath-securejoin"
	"go.podman.io/storage/pkg/fileutils"
	"golang.org/x/sys/unix"
)

// contents digests what builds take from folders: names, kinds, modes, owners, extended attributes, and what files and links
// hold; not when they were changed, as docker has it.
type contents struct {
	sum hash.Hash
	// files are what was read, by path; known is what was read before. A file whose stamp is the same is not read again.
	files, known map[string]fileDigest
	// stamps is a digest of all stamps: it differs when anything was written meanwhile, though it be as before.
	stamps hash.Hash
	// recent is when a change is so young that the next one may have the same stamp.
	recent time.Time
	// cancelled ends it.
	cancelled <-chan struct{}
	// seen are the paths that links have led to.
	seen map[string]bool
}

// fileDigest is what a file held when its stamp was this.
type fileDigest struct{ Stamp, Sum string }

// settled is how old the last change of a file is whose stamp tells the next one: file systems count time in steps of up to two
// seconds (vfat), and no file of a younger stamp is trusted (as git does: racy-git, in its technical documentation).
const settled = 2 * time.Second

func newContents(ctx context.Context, known map[string]fileDigest, now time.Time) *contents {
	return &contents{
		cancelled: ctx.Done(), sum: sha256.New(), stamps: sha256.New(), known: known, files: map[string]fileDigest{},
		recent: now.Add(-settled), seen: map[string]bool{},
	}
}

// add digests a path in a folder, and what links in it lead to, all of it below the folder. What matcher excludes is left
// out; nil excludes nothing. A path that is not there is digested as such.
func (c *contents) add(root, path string, matcher *fileutils.PatternMatcher) error {
	real, err := securejoin.SecureJoin(root, path)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.sum, "source %q is %q\n", path, below(root, real))
	return filepath.WalkDir(real, func(at string, entry fs.DirEntry, err error) error {
		select {
		case <-c.cancelled:
			return context.Canceled
		default:
		}
		rel := below(root, at)
		if errors.Is(err, fs.ErrNotExist) {
			fmt.Fprintf(c.sum, "%q is not there\n", rel)
			return nil
		}
		if err != nil {
			return err
		}
		if matcher != nil && rel != "." {
			excluded, err := matcher.Matches(filepath.ToSlash(rel)) //nolint:staticcheck // what buildah's copier asks
			switch {
			case err != nil:
				return err
			case excluded && entry.IsDir() && !matcher.Exclusions():
				return filepath.SkipDir
			case excluded:
				return nil
			}
		}
		return c.entry(root, rel, at)
	})
}

// below is a path as the folder that it is in knows it.
func below(root, path string) string {
	rel, err := filepath.Rel(root, path)
	if err != nil {
		return path
	}
	return rel
}

// entry digests one file, folder, link or device.
func (c *contents) entry(root, rel, path string) error {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return &fs.PathError{Op: "lstat", Path: path, Err: err}
	}
	stamp := stampOf(&st)
	fmt.Fprintf(c.sum, "%q %o %d %d %d\n", rel, st.Mode, st.Uid, st.Gid, st.Rdev)
	fmt.Fprintf(c.stamps, "%q %s\n", rel, stamp)
	if err := c.attributes(path); err != nil {
		return err
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFLNK:
		target, err := os.Readlink(path)
		if err != nil {
			return err
		}
		fmt.Fprintf(c.sum, "-> %q\n", target)
		return c.follow(root, rel)
	case unix.S_IFREG:
		sum, err := c.file(path, stamp, &st)
		if err != nil {
			return err
		}
		fmt.Fprintf(c.sum, "%s\n", sum)
	}
	return nil
}

// follow digests what a link leads to: a COPY that names a link, by itself or by a pattern, takes that.
func (c *contents) follow(root, rel string) error {
	real, err := securejoin.SecureJoin(root, rel)
	if errors.Is(err, unix.ELOOP) {
		return nil // it leads nowhere
	}
	if err != nil {
		return err
	}
	if c.seen[real] {
		return nil
	}
	c.seen[real] = true
	return c.add(root, below(root, real), nil)
}

// stampOf changes with every change of a file: nobody can set its time of change, unlike its time of modification.
func stampOf(st *unix.Stat_t) string {
	var b strings.Builder
	for _, n := range []int64{int64(st.Dev), int64(st.Ino), st.Size, st.Mtim.Sec, st.Mtim.Nsec, st.Ctim.Sec, st.Ctim.Nsec} {
		b.WriteString(strconv.FormatInt(n, 36) + ".")
	}
	return b.String()
}

// file is the digest of what a file holds.
func (c *contents) file(path, stamp string, st *unix.Stat_t) (string, error) {
	if before, ok := c.known[path]; ok && before.Stamp == stamp {
		c.files[path] = before
		return before.Sum, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	sum := hex.EncodeToString(h.Sum(nil))
	if time.Unix(st.Ctim.Unix()).Before(c.recent) && time.Unix(st.Mtim.Unix()).Before(c.recent) {
		c.files[path] = fileDigest{stamp, sum}
	}
	return sum, nil
}

// attributes digests the extended attributes of a file, of a link its own.
func (c *contents) attributes(path string) error {
	size, err := unix.Llistxattr(path, nil)
	if size == 0 || errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	if err != nil {
		return &fs.PathError{Op: "llistxattr", Path: path, Err: err}
	}
	list := make([]byte, size)
	if size, err = unix.Llistxattr(path, list); err != nil {
		return &fs.PathError{Op: "llistxattr", Path: path, Err: err}
	}
	values := map[string]string{}
	for _, name := range strings.FieldsFunc(string(list[:size]), func(r rune) bool { return r == 0 }) {
		value := make([]byte, maxAttribute)
		n, err := unix.Lgetxattr(path, name, value)
		if err != nil {
			return &fs.PathError{Op: "lgetxattr", Path: path, Err: err}
		}
		values[name] = string(value[:n])
	}
	for _, name := range sorted(values) {
		fmt.Fprintf(c.sum, "%q=%q\n", name, values[name])
	}
	return nil
}

// maxAttribute is the largest value of an extended attribute (xattr(7): XATTR_SIZE_MAX).
const maxAttribute = 64 << 10
