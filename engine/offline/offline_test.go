package offline

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/pcompose/pcompose/engine/cache"
)

// sample is a bundle without images, whose files are a folder and a secret.
func sample(t *testing.T) []byte {
	t.Helper()
	source := t.TempDir()
	for name, content := range map[string]string{"site/index.html": "a page", "site/deep/er": strings.Repeat("x", 3000)} {
		if err := os.MkdirAll(filepath.Join(source, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(source, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	err := Write(context.Background(), &out, t.TempDir(), Project{
		Contents: Contents{Project: "shop", Images: []string{}, Files: []string{"files/site", "secrets/key"}, MissingSecrets: []string{"other"}},
		Compose:  []byte("services: {}\n"),
		Files:    []File{{Name: "files/site", Source: filepath.Join(source, "site")}, {Name: "secrets/key", Content: []byte("hush")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// unpack opens and unpacks a bundle of that content, into a new folder.
func unpack(t *testing.T, content []byte) (folder string, err error) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "b")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := Open(path)
	if err != nil {
		return "", err
	}
	defer b.Close()
	return b.Unpack(context.Background(), cache.Dir(filepath.Join(dir, "bundles")))
}

func TestThereAndBack(t *testing.T) {
	folder, err := unpack(t, sample(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"compose.yaml": "services: {}\n", "files/site/index.html": "a page", "secrets/key": "hush"} {
		if got, err := os.ReadFile(filepath.Join(folder, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if HasSecret(folder, "other") {
		t.Error("a secret that nobody gave")
	}
	given := filepath.Join(t.TempDir(), "given")
	for _, want := range []string{"first", "second"} {
		if err := os.WriteFile(given, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := GiveSecret(folder, "other", given); err != nil || !HasSecret(folder, "other") {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(filepath.Join(folder, "secrets/other")); string(got) != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// Wherever a bundle is cut, that is found out before anything is unpacked.
func TestCut(t *testing.T) {
	whole := sample(t)
	end := len(bytes.TrimRight(whole, "\x00")) // the marks at the end may be missing
	for n := 0; n < end; n += 97 {
		if _, err := unpack(t, whole[:n]); err == nil {
			t.Fatalf("%d of %d bytes are a bundle", n, len(whole))
		}
	}
}

// A bit that is wrong is found out, or changes nothing.
func TestDamaged(t *testing.T) {
	whole := sample(t)
	for at := 0; at < len(whole); at += 53 {
		damaged := bytes.Clone(whole)
		damaged[at] ^= 0x10
		folder, err := unpack(t, damaged)
		if err != nil {
			continue
		}
		for name, want := range map[string]string{"compose.yaml": "services: {}\n", "files/site/index.html": "a page", "secrets/key": "hush"} {
			if got, _ := os.ReadFile(filepath.Join(folder, name)); string(got) != want {
				t.Fatalf("byte %d: %s is %q", at, name, got)
			}
		}
	}
}

// hostile is a bundle whose files are the entries of a tar stream.
func hostile(t *testing.T, entries ...tar.Header) []byte {
	t.Helper()
	var files bytes.Buffer
	w := tar.NewWriter(&files)
	for _, h := range entries {
		h.Mode = 0o777
		if h.Typeflag == tar.TypeReg {
			h.Size = 4
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			w.Write([]byte("evil"))
		}
	}
	w.Close()
	var out bytes.Buffer
	t2 := tar.NewWriter(&out)
	blob := func(content []byte) v1.Descriptor {
		d := v1.Descriptor{Digest: digest.FromBytes(content), Size: int64(len(content))}
		if err := entry(t2, "blobs/sha256/"+d.Digest.Encoded(), d.Size, bytes.NewReader(content)); err != nil {
			t.Fatal(err)
		}
		return d
	}
	typed := func(d v1.Descriptor, kind string) v1.Descriptor { d.MediaType = kind; return d }
	m := v1.Manifest{ArtifactType: artifactType, Config: typed(blob([]byte(`{"project":"x"}`)), contentsType)}
	m.Layers = []v1.Descriptor{typed(blob([]byte("services: {}\n")), modelType), typed(blob(files.Bytes()), filesType)}
	content, _ := json.Marshal(m)
	top := blob(content)
	top.ArtifactType = artifactType
	index, _ := json.Marshal(v1.Index{Manifests: []v1.Descriptor{top}})
	if err := entry(t2, "index.json", int64(len(index)), bytes.NewReader(index)); err != nil {
		t.Fatal(err)
	}
	t2.Close()
	return out.Bytes()
}

// A bundle is a stranger's: nothing outside of its folder is written, whatever names and links it has.
func TestHostile(t *testing.T) {
	host := t.TempDir()
	precious := filepath.Join(host, "precious")
	if err := os.WriteFile(precious, []byte("host"), 0o600); err != nil {
		t.Fatal(err)
	}
	up := strings.Repeat("../", 20)
	out := tar.Header{Name: "out", Typeflag: tar.TypeSymlink, Linkname: host}
	for i, entries := range [][]tar.Header{
		{{Name: up + precious, Typeflag: tar.TypeReg}},
		{out, {Name: "out/precious", Typeflag: tar.TypeReg}},
		{{Name: "compose.yaml", Typeflag: tar.TypeSymlink, Linkname: precious}},
		{{Name: "secrets", Typeflag: tar.TypeSymlink, Linkname: host}},
		{{Name: "secrets", Typeflag: tar.TypeDir}, {Name: "secrets/precious.new", Typeflag: tar.TypeSymlink, Linkname: precious}},
		{{Name: "hard", Typeflag: tar.TypeLink, Linkname: precious}, {Name: "hard", Typeflag: tar.TypeReg}},
	} {
		// Refusing is as well as defusing.
		folder, err := unpack(t, hostile(t, entries...))
		if err == nil {
			given := filepath.Join(t.TempDir(), "given")
			if err := os.WriteFile(given, []byte("given"), 0o600); err != nil {
				t.Fatal(err)
			}
			_ = GiveSecret(folder, "precious", given)
			if content, err := os.ReadFile(filepath.Join(folder, ComposeFile)); err != nil || string(content) != "services: {}\n" {
				t.Errorf("case %d: the Compose file is %q, %v", i, content, err)
			}
		}
		if b, _ := os.ReadFile(precious); string(b) != "host" {
			t.Fatalf("case %d: the host's file is %q", i, b)
		}
		if list, _ := os.ReadDir(host); len(list) != 1 {
			t.Fatalf("case %d: the host's folder has %v", i, list)
		}
	}
}
