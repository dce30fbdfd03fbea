package build

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/pcompose/pcompose/pod"
	"go.podman.io/storage"
	"go.podman.io/storage/pkg/fileutils"
	"golang.org/x/sys/unix"
)

// TestSources finds what Dockerfiles take from their contexts, and those of which that cannot be known.
func TestSources(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"FROM a\nCOPY x /\nCOPY y/../z w/ /v/", "x z w"},
		{"FROM a\nCOPY [\"with space\", \"/\"]\nADD --chown=1 ../up /", "with space|up"},
		{"FROM a\nCOPY src/*.go /\nCOPY $X /\nCOPY a/b[1-2]/c /", "src . a"},
		{"FROM a\nCOPY <<EOF /x\ntext\nEOF\n", ""},
		{"FROM a AS one\nFROM b\nCOPY --from=one /x /y\nCOPY --from=0 /x /y\nCOPY --from=c /x /", ""},
		{"FROM b\nCOPY --from=extra f /y\nRUN --mount=type=bind,from=extra,source=g,target=/t true", "extra:f extra:g!"},
		{"FROM b\nARG E=extra\nCOPY --from=$E f /y", "extra:f"},
		{"FROM x AS extra\nFROM b\nCOPY --from=0 /f /y", "extra:f"},
		{"FROM b\nRUN --mount=source=d,target=/t true\nRUN --mount=type=bind,target=/t true", "d! .!"},
		{"FROM b\nRUN --mount=type=secret,id=x --mount=type=cache,target=/c --mount=type=tmpfs,target=/t --mount=type=ssh true", ""},
		{"FROM b\nADD https://example.com/x /", "unknown"},
		{"FROM b\nADD $URL /", "unknown"},
		{"FROM b\nADD git@example.com:x.git /", "unknown"},
		{"FROM oci-archive:/x.tar\nRUN x", "unknown"},
		{"ARG B=oci:/x\nFROM ${B}\nRUN x", "unknown"},
		{"FROM b\nCOPY --from=dir:/tmp /x /", "unknown"},
		// made of itself
		{"FROM web\nRUN x", "unknown"},
		{"FROM docker.io/me/web:1\nRUN x", "unknown"},
		{"FROM img\nRUN x", "unknown"},
		{"FROM docker:20\nRUN x", ""},
	} {
		f := &dockerfile{name: "Dockerfile"}
		if err := f.parse([]byte(c.text)); err != nil {
			t.Fatal(err)
		}
		o := &order{file: f, folders: map[string]string{"extra": "/extra"}}
		o.build = pod.Build{Tags: []string{"web", "docker.io/me/web:1"}, Contexts: map[string]string{"extra": "/extra", "img": "docker-image://web"}}
		list, ok := o.sources()
		var got []string
		for _, s := range list {
			text := s.path
			if s.context != "" {
				text = s.context + ":" + text
			}
			if s.bound {
				text += "!"
			}
			got = append(got, text)
		}
		want := strings.FieldsFunc(c.want, func(r rune) bool { return r == '|' || r == ' ' && !strings.Contains(c.want, "|") })
		if !ok {
			got = []string{"unknown"}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", c.text, got, want)
		}
	}
}

// TestContents changes a folder in many ways: those that a COPY carries change the digest, and no others.
func TestContents(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	write := func(name, text string) {
		t.Helper()
		must(os.MkdirAll(filepath.Dir(path(name)), 0o755))
		must(os.WriteFile(path(name), []byte(text), 0o644))
	}
	write("src/file", "one")
	write("src/skipped/log", "x")
	write("else/where", "x")
	must(os.Symlink("../else/where", path("src/link")))
	must(os.Symlink("loop", path("src/loop")))
	must(os.Symlink("/etc/passwd", path("src/out"))) // read in the folder, where there is none
	old := time.Now().Add(-time.Hour)
	must(os.Chtimes(path("src/file"), old, old))
	matcher, err := fileutils.NewPatternMatcher([]string{"src/skipped"})
	must(err)
	known := map[string]fileDigest{}
	take := func() (sum, stamps string) {
		t.Helper()
		c := newContents(t.Context(), known, time.Now().Add(time.Hour)) // late enough that all has settled
		must(c.add(dir, "src", matcher))
		must(c.add(dir, "not/there", matcher))
		known = c.files
		return hex.EncodeToString(c.sum.Sum(nil)), hex.EncodeToString(c.stamps.Sum(nil))
	}
	for _, c := range []struct {
		name   string
		change func()
		differ bool
	}{
		{"nothing", func() {}, false},
		{"a file of the same size and time", func() {
			write("src/file", "two")
			must(os.Chtimes(path("src/file"), old, old))
		}, true},
		{"the time", func() { must(os.Chtimes(path("src/file"), old, old.Add(time.Minute))) }, false},
		{"the same again", func() { write("src/file", "two") }, false},
		{"a mode", func() { must(os.Chmod(path("src/file"), 0o755)) }, true},
		{"an attribute", func() {
			if err := unix.Setxattr(path("src/file"), "user.pct", []byte("x"), 0); err != nil {
				t.Skip("the file system has no extended attributes: " + err.Error())
			}
		}, true},
		{"what a link leads to", func() { write("else/where", "y") }, true},
		{"where a link leads", func() {
			must(os.Remove(path("src/link")))
			must(os.Symlink("file", path("src/link")))
		}, true},
		{"what nobody links to any more", func() { write("else/where", "z") }, false},
		{"an excluded file", func() { write("src/skipped/log", "y") }, false},
		{"a new folder", func() { must(os.Mkdir(path("src/new"), 0o755)) }, true},
		{"a name", func() { must(os.Rename(path("src/new"), path("src/newer"))) }, true},
		{"what was not there", func() { write("not/there", "") }, true},
	} {
		before, stamps := take()
		c.change()
		after, now := take()
		if (before != after) != c.differ {
			t.Errorf("%s: differs: %t, want %t", c.name, before != after, c.differ)
		}
		if c.name == "the same again" && now == stamps {
			t.Error("a file that was written to has the stamp that it had")
		}
	}
}

// TestStamps trusts the stamp of a file that has not changed lately, and no other.
func TestStamps(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	young := newContents(t.Context(), nil, now)
	if err := young.add(dir, ".", nil); err != nil || len(young.files) != 0 {
		t.Errorf("a file that has just changed is remembered: %v, %v", young.files, err)
	}
	settled := newContents(t.Context(), nil, now.Add(time.Minute))
	if err := settled.add(dir, ".", nil); err != nil || settled.files[file].Sum == "" {
		t.Fatalf("a file is not remembered: %v, %v", settled.files, err)
	}
	// What is remembered is not read again: it must be there that the lie is found.
	lie := map[string]fileDigest{file: {settled.files[file].Stamp, "lie"}}
	if again := newContents(t.Context(), lie, now); again.add(dir, ".", nil) != nil || again.files[file].Sum != "lie" {
		t.Error("a file of a known stamp was read again")
	}
	lie[file] = fileDigest{"other", "lie"}
	if again := newContents(t.Context(), lie, now.Add(time.Minute)); again.add(dir, ".", nil) != nil || again.files[file] != settled.files[file] {
		t.Error("a file of another stamp was not read")
	}
}

// fakeStore has images by name.
type fakeStore struct {
	storage.Store
	images map[string]string
}

func (f fakeStore) Image(name string) (*storage.Image, error) {
	if id, ok := f.images[name]; ok {
		return &storage.Image{ID: id}, nil
	}
	return nil, fmt.Errorf("%s: %w", name, storage.ErrImageUnknown)
}

func (f fakeStore) ImagesByDigest(digest.Digest) ([]*storage.Image, error) {
	if id, ok := f.images["digest"]; ok {
		return []*storage.Image{{ID: id}}, nil
	}
	return nil, errors.New("spoilt")
}

// TestWitness takes down which images names meant, and sees when they mean others.
func TestWitness(t *testing.T) {
	store := fakeStore{images: map[string]string{"base": "1", "1": "1", "digest": "3"}}
	w := newWitness(store)
	for _, name := range []string{"base", "1", "later", strings.Repeat("a", 64) + "-tmp"} {
		_, _ = w.Image(name)
	}
	_, _ = w.ImagesByDigest("sha256:x")
	store.images["later"] = "2" // it is pulled
	_, _ = w.Image("later")
	if len(w.answers) != 3 || w.answers["base"] != "1" || w.answers["later"] != "2" || len(w.moved) != 0 {
		t.Errorf("got %v, moved %v", w.answers, w.moved)
	}
	if !agrees(store, w.answers) {
		t.Error("the store does not say the same twice")
	}
	for name, other := range map[string]string{"base": "9", "later": "", "digest": "9"} {
		before := store.images[name]
		store.images[name] = other
		if other == "" {
			delete(store.images, name)
		}
		if agrees(store, w.answers) {
			t.Errorf("%s means another image, and nobody sees it", name)
		}
		store.images[name] = before
	}
	store.images["base"] = "5"
	if _, _ = w.Image("base"); !w.moved["base"] {
		t.Error("base moved during the build, and nobody saw it")
	}
}

// TestForeignRun finds the RUN of another platform that an image needs.
func TestForeignRun(t *testing.T) {
	for _, c := range []struct {
		text, target string
		line         int
	}{
		{"FROM a\nRUN x", "", 2},
		{"FROM scratch\nCOPY x /", "", 0},
		{"FROM a AS unused\nRUN x\nFROM scratch\nCOPY x /", "", 0},
		{"FROM a AS used\nRUN x\nFROM scratch\nCOPY --from=used /x /", "", 2},
		{"FROM a AS used\nRUN x\nFROM scratch\nRUN --mount=type=bind,from=0,target=/x x", "", 2},
		{"FROM --platform=$BUILDPLATFORM a AS make\nRUN x\nFROM make AS more\nRUN x\nFROM scratch\nCOPY --from=more /x /", "", 0},
		{"FROM scratch AS one\nCOPY x /\nFROM a\nRUN x", "one", 0},
		{"ARG B=used\nFROM a AS used\nRUN x\nFROM ${B}\nCOPY x /", "", 3},
	} {
		f := &dockerfile{name: "Dockerfile"}
		if err := f.parse([]byte(c.text)); err != nil {
			t.Fatal(err)
		}
		o := &order{file: f}
		o.build.Target = c.target
		line := 0
		if n := (reading{o, f.arguments(nil)}).foreignRun(); n != nil {
			line = n.StartLine
		}
		if line != c.line {
			t.Errorf("%q: got line %d, want %d", c.text, line, c.line)
		}
	}
}
