package rootfs

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"go.podman.io/storage"
)

// putLayers stores an image of the layers, lowest first, or gives the error of the first that is refused.
func putLayers(t *testing.T, store storage.Store, layers ...[]tar.Header) (string, error) {
	t.Helper()
	top := ""
	for _, headers := range layers {
		var layer bytes.Buffer
		w := tar.NewWriter(&layer)
		for _, h := range headers {
			if err := w.WriteHeader(&h); err != nil {
				t.Fatal(err)
			}
		}
		w.Close()
		put, _, err := store.PutLayer("", top, nil, "", false, nil, &layer)
		if err != nil {
			return "", err
		}
		top = put.ID
	}
	img, err := store.CreateImage("", nil, top, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	return img.ID, nil
}

func mounted(t *testing.T, roots *Roots, id, img string) string {
	t.Helper()
	if err := roots.Create(id, "pct-"+id[60:], img, Options{}); err != nil {
		t.Fatal(err)
	}
	path, err := roots.Mount(id)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWhiteouts(t *testing.T) {
	store := scratch(t)
	dir := func(name string) tar.Header { return tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: 0o755} }
	file := func(name string) tar.Header { return tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644} }
	img, err := putLayers(t, store,
		[]tar.Header{dir("a"), file("a/gone"), file("a/stays"), dir("opaque"), file("opaque/gone"), file("again")},
		[]tar.Header{file("a/.wh.gone"), file("opaque/.wh..wh..opq"), file("opaque/new"), file(".wh.again")},
		[]tar.Header{file("again")},
	)
	if err != nil {
		t.Fatal(err)
	}
	roots := New(store)
	path := mounted(t, roots, testID(1), img)
	for name, want := range map[string]bool{
		"a/gone": false, "a/stays": true, "opaque/gone": false, "opaque/new": true, "again": true, "a/.wh.gone": false,
	} {
		if _, err := os.Lstat(filepath.Join(path, name)); (err == nil) != want {
			t.Errorf("%s: %v, want it there: %v", name, err, want)
		}
	}
}

// Layers are a stranger's: whatever they name, nothing outside of the root is written or removed (CVE-2026-79699).
func TestHostileLayers(t *testing.T) {
	store := scratch(t)
	host := t.TempDir()
	precious := filepath.Join(host, "precious")
	if err := os.WriteFile(precious, []byte("host"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := tar.Header{Name: "out", Typeflag: tar.TypeSymlink, Linkname: host}
	reg := func(name string) tar.Header { return tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644} }
	up := "../../../../../../../../../../../../"
	roots := New(store)
	for i, layers := range [][][]tar.Header{
		{{link, reg("out/precious")}},
		{{link}, {reg("out/precious")}},
		{{link}, {reg("out/.wh.precious")}},
		{{link}, {reg("out/.wh..wh..opq")}},
		{{reg(up + precious)}},
		{{reg(up + host + "/.wh.precious")}},
		{{reg(".wh...")}},
		{{reg("d/.wh...")}},
		{{{Name: "hard", Typeflag: tar.TypeLink, Linkname: up + precious}, reg("hard")}},
	} {
		// Refusing the layer is as well as defusing it.
		if img, err := putLayers(t, store, layers...); err == nil {
			mounted(t, roots, testID(i), img)
		}
		if content, err := os.ReadFile(precious); err != nil || string(content) != "host" {
			t.Fatalf("case %d: the host's file is %q, %v", i, content, err)
		}
		if entries, _ := os.ReadDir(host); len(entries) != 1 {
			t.Fatalf("case %d: the host's directory has %v", i, entries)
		}
	}
}
