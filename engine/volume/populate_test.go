package volume

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pcompose/pcompose/pod"
	"golang.org/x/sys/unix"
)

// rootTree is a mounted root with something at /srv.
func rootTree(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	srv := filepath.Join(root, "srv")
	os.MkdirAll(filepath.Join(srv, "deep/er"), 0o750)
	os.WriteFile(filepath.Join(srv, "deep/er/file"), []byte("content"), 0o640)
	os.Symlink("/etc/shadow", filepath.Join(srv, "abs"))
	syscall.Mkfifo(filepath.Join(srv, "fifo"), 0o600)
	os.Chmod(srv, 0o770|os.ModeSetgid)
	os.Chmod(filepath.Join(srv, "deep/er/file"), 0o751|os.ModeSetuid)
	os.Chtimes(filepath.Join(srv, "deep/er/file"), time.Unix(1e9, 0), time.Unix(1e9, 5))
	return root
}

func filled(t *testing.T, path string) {
	t.Helper()
	file := filepath.Join(path, "deep/er/file")
	content, err := os.ReadFile(file)
	if err != nil || string(content) != "content" {
		t.Errorf("%q, %v", content, err)
	}
	stat, err := os.Stat(file)
	if err != nil || stat.Mode() != 0o751|os.ModeSetuid || !stat.ModTime().Equal(time.Unix(1e9, 5)) {
		t.Errorf("%v %v, %v", stat.Mode(), stat.ModTime(), err)
	}
	if target, err := os.Readlink(filepath.Join(path, "abs")); err != nil || target != "/etc/shadow" {
		t.Errorf("%q, %v", target, err)
	}
	if _, err := os.Lstat(filepath.Join(path, "fifo")); err == nil {
		t.Error("a FIFO was copied")
	}
	if stat, err := os.Stat(path); err != nil || stat.Mode().Perm() != 0o770 || stat.Mode()&os.ModeSetgid == 0 {
		t.Errorf("%v, %v", stat.Mode(), err)
	}
}

func TestPopulate(t *testing.T) {
	s, root := newStore(t), rootTree(t)
	s.Create(pod.Volume{Name: "v"})
	v, _ := s.Inspect("v")
	file := filepath.Join(root, "srv/deep/er/file")
	xattr := unix.Setxattr(file, "user.pct", []byte("x"), 0) == nil
	if os.Getuid() == 0 {
		os.Chown(file, 5, 6)
		os.Chmod(file, 0o751|os.ModeSetuid)
	}
	var wg sync.WaitGroup
	for range 4 { // containers of one `up` that share a volume
		wg.Go(func() {
			if err := s.Populate(t.Context(), "v", root, "/srv"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	filled(t, v.Path)
	copied := filepath.Join(v.Path, "deep/er/file")
	if stat, _ := os.Stat(copied); os.Getuid() == 0 && stat.Sys().(*syscall.Stat_t).Uid != 5 {
		t.Error("the owner is lost")
	}
	if value := make([]byte, 9); xattr {
		if n, err := unix.Getxattr(copied, "user.pct", value); err != nil || string(value[:n]) != "x" {
			t.Errorf("%q, %v", value, err)
		}
	}
	os.WriteFile(copied, []byte("changed"), 0o600)
	if err := s.Populate(t.Context(), "v", root, "/srv"); err != nil {
		t.Fatal(err)
	}
	if content, _ := os.ReadFile(copied); string(content) != "changed" {
		t.Error("a volume with content was written over")
	}
}

func TestPopulateNothing(t *testing.T) {
	s, root := newStore(t), rootTree(t)
	s.Create(pod.Volume{Name: "v"})
	for _, path := range []string{"/none", "/srv/deep/er/file", "/srv/deep/er/file/x", "/srv/abs"} {
		if err := s.Populate(t.Context(), "v", root, path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	v, _ := s.Inspect("v")
	if empty, _ := isEmpty(v.Path); !empty {
		t.Error("something was copied")
	}
}

// One that was stopped half way is done again.
func TestPopulateInterrupted(t *testing.T) {
	s, root := newStore(t), rootTree(t)
	s.Create(pod.Volume{Name: "v"})
	v, _ := s.Inspect("v")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Populate(ctx, "v", root, "/srv"); err == nil {
		t.Fatal("no error")
	}
	os.MkdirAll(filepath.Join(v.Path, "deep/er"), 0o700)
	os.WriteFile(filepath.Join(v.Path, "deep/er/file"), []byte("cont"), 0o600)
	os.Symlink("/etc/shadow", filepath.Join(v.Path, "abs"))
	if err := s.Populate(t.Context(), "v", root, "/srv"); err != nil {
		t.Fatal(err)
	}
	filled(t, v.Path)
	if entries, _ := os.ReadDir(filepath.Join(s.root, "v")); len(entries) != 2 {
		t.Errorf("left: %v", entries)
	}
}

// Neither the image nor what stands in the volume leads the copy elsewhere.
func TestPopulateEscapes(t *testing.T) {
	s, root := newStore(t), rootTree(t)
	host := t.TempDir()
	os.WriteFile(filepath.Join(host, "file"), []byte("host"), 0o600)
	os.Symlink(host, filepath.Join(root, "out"))
	os.Symlink("../../../../../../../../"+host, filepath.Join(root, "dots"))
	s.Create(pod.Volume{Name: "v"})
	v, _ := s.Inspect("v")
	for _, path := range []string{"/out", "/dots", "/../../../../" + host} {
		if err := s.Populate(t.Context(), "v", root, path); err != nil {
			t.Error(err)
		}
	}
	if empty, _ := isEmpty(v.Path); !empty {
		t.Fatal("the host's files were copied in")
	}
	// A half-filled volume whose container put links where directories and files go.
	os.WriteFile(filepath.Join(s.root, "v", "populating"), nil, 0o600)
	os.Symlink(host, filepath.Join(v.Path, "deep"))
	if err := s.Populate(t.Context(), "v", root, "/srv"); err == nil {
		t.Error("a link was taken for a directory")
	}
	os.Remove(filepath.Join(v.Path, "deep"))
	os.MkdirAll(filepath.Join(v.Path, "deep/er"), 0o700)
	os.Symlink(filepath.Join(host, "file"), filepath.Join(v.Path, "deep/er/file"))
	if err := s.Populate(t.Context(), "v", root, "/srv"); err == nil {
		t.Error("a link was taken for a file")
	}
	if content, _ := os.ReadFile(filepath.Join(host, "file")); string(content) != "host" {
		t.Error("the host's file was written")
	}
	if entries, _ := os.ReadDir(host); len(entries) != 1 || strings.Contains(entries[0].Name(), "er") {
		t.Errorf("the host has %v", entries)
	}
}
