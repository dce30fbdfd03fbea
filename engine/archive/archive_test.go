package archive

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func open(t *testing.T, dir string) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

// names are the entries of a stream: "name type [-> link]".
func names(t *testing.T, stream []byte) []string {
	t.Helper()
	var list []string
	for r := tar.NewReader(bytes.NewReader(stream)); ; {
		h, err := r.Next()
		if err == io.EOF {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, strings.TrimSpace(fmt.Sprintf("%s %c %s", h.Name, h.Typeflag, h.Linkname)))
	}
}

func TestThereAndBack(t *testing.T) {
	src, dst := t.TempDir(), t.TempDir()
	os.MkdirAll(filepath.Join(src, "d/sub"), 0o750)
	os.WriteFile(filepath.Join(src, "d/file"), []byte("content"), 0o640)
	os.Chmod(filepath.Join(src, "d/file"), 0o640|os.ModeSetuid)
	os.Link(filepath.Join(src, "d/file"), filepath.Join(src, "d/hard"))
	os.Symlink("/etc/passwd", filepath.Join(src, "d/link"))
	syscall.Mkfifo(filepath.Join(src, "d/pipe"), 0o600)
	at := time.Unix(1e9, 5)
	for _, name := range []string{"d/file", "d/sub", "d"} {
		os.Chtimes(filepath.Join(src, name), at, at)
	}
	var stream bytes.Buffer
	if err := Pack(context.Background(), &stream, open(t, src), "d", "new"); err != nil {
		t.Fatal(err)
	}
	want := "new/ 5|new/file 0|new/hard 1 new/file|new/link 2 /etc/passwd|new/pipe 6|new/sub/ 5"
	if got := strings.Join(names(t, stream.Bytes()), "|"); got != want {
		t.Errorf("packed\n%s, want\n%s", got, want)
	}
	for range 2 { // again over what is there
		if err := Unpack(context.Background(), bytes.NewReader(stream.Bytes()), open(t, dst), &Owner{os.Getuid(), os.Getgid()}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"", "/file", "/sub"} {
		st, err := os.Stat(filepath.Join(dst, "new"+name))
		was, _ := os.Stat(filepath.Join(src, "d"+name))
		if err != nil || st.Mode() != was.Mode() || !st.ModTime().Equal(at) {
			t.Errorf("%q: %v, %v", name, st, err)
		}
	}
	if b, _ := os.ReadFile(filepath.Join(dst, "new/hard")); string(b) != "content" {
		t.Errorf("hard link: %q", b)
	}
	if target, _ := os.Readlink(filepath.Join(dst, "new/link")); target != "/etc/passwd" {
		t.Errorf("link to %q", target)
	}
}

// A stream is a stranger's: nothing outside of the directory is written, removed or changed.
func TestHostileStreams(t *testing.T) {
	host := t.TempDir()
	precious := filepath.Join(host, "precious")
	if err := os.WriteFile(precious, []byte("host"), 0o600); err != nil {
		t.Fatal(err)
	}
	up := strings.Repeat("../", 20)
	reg := func(name string) tar.Header {
		return tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o777, Uid: 7, Gid: 7}
	}
	out := tar.Header{Name: "out", Typeflag: tar.TypeSymlink, Linkname: host}
	for i, headers := range [][]tar.Header{
		{reg(up + precious)},
		{reg("a/" + up + precious)},
		{out, reg("out/precious")},
		{out, {Name: "out", Typeflag: tar.TypeDir, Mode: 0o777}},
		{out, {Name: "out/x", Typeflag: tar.TypeDir, Mode: 0o777}},
		{{Name: "hard", Typeflag: tar.TypeLink, Linkname: precious}, reg("hard")},
		{{Name: "hard", Typeflag: tar.TypeLink, Linkname: up + precious}, reg("hard")},
		{out, {Name: "hard", Typeflag: tar.TypeLink, Linkname: "out/precious"}},
		{{Name: "soft", Typeflag: tar.TypeSymlink, Linkname: precious}, reg("soft")},
		{out, {Name: "out/dev", Typeflag: tar.TypeFifo}},
	} {
		var stream bytes.Buffer
		w := tar.NewWriter(&stream)
		for _, h := range headers {
			if err := w.WriteHeader(&h); err != nil {
				t.Fatal(err)
			}
		}
		w.Close()
		// Refusing the stream is as well as defusing it.
		_ = Unpack(context.Background(), &stream, open(t, t.TempDir()), &Owner{os.Getuid(), os.Getgid()})
		st, err := os.Stat(precious)
		if b, _ := os.ReadFile(precious); err != nil || string(b) != "host" || st.Mode().Perm() != 0o600 {
			t.Fatalf("case %d: the host's file is %q, %v", i, b, err)
		}
		if entries, _ := os.ReadDir(host); len(entries) != 1 {
			t.Fatalf("case %d: the host's directory has %v", i, entries)
		}
	}
}

func TestKindsStay(t *testing.T) {
	for _, test := range []struct{ there, entry, err string }{
		{"dir", "file", "cannot overwrite a directory"},
		{"file", "dir", "cannot overwrite something else with a directory"},
		{"file", "file", ""}, {"dir", "dir", ""},
	} {
		dir := t.TempDir()
		if test.there == "dir" {
			os.Mkdir(filepath.Join(dir, "x"), 0o755)
		} else {
			os.WriteFile(filepath.Join(dir, "x"), nil, 0o600)
		}
		h := tar.Header{Name: "x", Typeflag: tar.TypeReg, Mode: 0o600}
		if test.entry == "dir" {
			h.Typeflag = tar.TypeDir
		}
		var stream bytes.Buffer
		w := tar.NewWriter(&stream)
		w.WriteHeader(&h)
		w.Close()
		err := Unpack(context.Background(), &stream, open(t, dir), &Owner{os.Getuid(), os.Getgid()})
		if got := fmt.Sprint(err); (err == nil) != (test.err == "") || !strings.Contains(got, test.err) {
			t.Errorf("%s over %s: %v", test.entry, test.there, err)
		}
	}
}

// A tree that changes while it is packed gives its own content or none: a link put in a file's place is not followed out.
func TestRace(t *testing.T) {
	host, src := t.TempDir(), t.TempDir()
	os.WriteFile(filepath.Join(host, "f"), []byte("SECRET"), 0o600)
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			os.RemoveAll(filepath.Join(src, "d"))
			if i%2 == 0 {
				os.Symlink(host, filepath.Join(src, "d"))
			} else {
				os.Mkdir(filepath.Join(src, "d"), 0o755)
				os.Symlink(filepath.Join(host, "f"), filepath.Join(src, "d/f"))
				os.Remove(filepath.Join(src, "d/f"))
				os.WriteFile(filepath.Join(src, "d/f"), []byte("ours"), 0o600)
			}
		}
	}()
	for range 500 {
		var stream bytes.Buffer
		_ = Pack(context.Background(), &stream, open(t, src), ".", "x") // the tree may be gone
		if bytes.Contains(stream.Bytes(), []byte("SECRET")) {
			t.Fatal("a file outside was packed")
		}
	}
}

func TestStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Pack(ctx, io.Discard, open(t, t.TempDir()), ".", "x"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
