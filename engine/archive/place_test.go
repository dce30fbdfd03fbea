package archive

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestPlace(t *testing.T) {
	src, dst := t.TempDir(), t.TempDir()
	at := time.Unix(1e9, 5)
	os.Mkdir(filepath.Join(src, "d"), 0o750)
	os.WriteFile(filepath.Join(src, "d/f"), []byte("new"), 0o640)
	os.WriteFile(filepath.Join(src, strings.Repeat("n", 255)), nil, 0o600)
	os.Chtimes(filepath.Join(src, "d/f"), at, at)
	os.Symlink("../../etc/passwd", filepath.Join(src, "link"))
	from, to := open(t, src), open(t, dst)
	us := &Owner{os.Getuid(), os.Getgid()}
	os.WriteFile(filepath.Join(dst, "d"), []byte("a file gives way"), 0o600)
	os.MkdirAll(filepath.Join(dst, "link"), 0o700) // an empty directory does
	for range 2 {
		for _, name := range []string{"d", "d/f", "link", strings.Repeat("n", 255)} {
			if err := Place(from, name, to, name, us); err != nil {
				t.Fatal(err)
			}
		}
	}
	st, err := os.Stat(filepath.Join(dst, "d/f"))
	if err != nil || st.Mode() != 0o640 || !st.ModTime().Equal(at) {
		t.Errorf("the file is %v, %v", st, err)
	}
	if st, err := os.Stat(filepath.Join(dst, "d")); err != nil || st.Mode().Perm() != 0o750 {
		t.Errorf("the directory is %v, %v", st, err)
	}
	if target, _ := os.Readlink(filepath.Join(dst, "link")); target != "../../etc/passwd" {
		t.Errorf("the link leads to %q", target)
	}
	if left, _ := filepath.Glob(filepath.Join(dst, "*/.pcompose*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if err := Place(from, "d/f", to, "new/below/f", us); err != nil {
		t.Error(err)
	}
	if err := Place(from, "gone", to, "gone", us); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is gone: %v", err)
	}
}

// What a directory holds is not thrown away for a file, and a link never leads the writer out.
func TestPlaceRefuses(t *testing.T) {
	src, dst, host := t.TempDir(), t.TempDir(), t.TempDir()
	os.WriteFile(filepath.Join(src, "f"), []byte("x"), 0o600)
	os.MkdirAll(filepath.Join(dst, "full/of"), 0o700)
	os.Symlink(host, filepath.Join(dst, "out"))
	us := &Owner{os.Getuid(), os.Getgid()}
	for _, name := range []string{"full", "out/f", "out/d/f"} {
		if err := Place(open(t, src), "f", open(t, dst), name, us); err == nil {
			t.Errorf("%s was written", name)
		}
	}
	if list, _ := os.ReadDir(host); len(list) > 0 {
		t.Errorf("outside: %v", list)
	}
	if list, _ := os.ReadDir(dst); len(list) != 2 {
		t.Errorf("left: %v", list)
	}
}
