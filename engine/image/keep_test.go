package image

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"
)

// pushIndex puts an image for this machine's platform and one for another into the registry, and gives their index's digest.
func pushIndex(t *testing.T, address, name string) string {
	t.Helper()
	index := mutate.IndexMediaType(empty.Index, types.DockerManifestList)
	for _, arch := range []string{runtime.GOARCH, "s390x"} {
		img, err := random.Image(1<<10, 2)
		if err != nil {
			t.Fatal(err)
		}
		file, _ := img.ConfigFile()
		file = file.DeepCopy()
		file.OS, file.Architecture = "linux", arch
		if img, err = mutate.ConfigFile(img, file); err != nil {
			t.Fatal(err)
		}
		id, _ := img.Digest()
		upload(t, address, name+":"+id.String(), img)
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}}})
	}
	content, err := index.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+address+"/v2/"+name+"/manifests/1", bytes.NewReader(content))
	req.Header.Set("Content-Type", string(types.DockerManifestList))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		t.Fatal(resp.Status)
	}
	return digest.FromBytes(content).String()
}

// folder has blobs as Keep leaves them.
type folder string

func (f folder) Blob(id digest.Digest) (io.ReadCloser, int64, error) {
	file, err := os.Open(filepath.Join(string(f), "blobs", "sha256", id.Encoded()))
	if err != nil {
		return nil, 0, err
	}
	st, err := file.Stat()
	return file, st.Size(), err
}

func TestKeepAndBring(t *testing.T) {
	store := scratch(t)
	address := hubMirror(t, nil)
	index := pushIndex(t, address, "library/multi")
	push(t, address, "library/web:1", 2)
	bring := func(kept Kept, dir string) (string, error) {
		return Bring(t.Context(), store, kept, filepath.Join(dir, "archive"), folder(dir))
	}
	for _, test := range []struct {
		ref, pinned string
		pulled      bool
		options     KeepOptions
		err         string
	}{
		{ref: "multi:1", pinned: "docker.io/library/multi:1@" + index},
		{ref: "multi:1", pulled: true, pinned: "docker.io/library/multi:1@" + index},
		{ref: "multi:1", options: KeepOptions{Platforms: []string{"linux/" + runtime.GOARCH, "linux/s390x"}}, pinned: "docker.io/library/multi:1@" + index},
		{ref: "multi:1", options: KeepOptions{Platforms: []string{"linux/s390x"}}, pinned: "docker.io/library/multi:1@" + index, err: "it was saved for other platforms than this machine's"},
		{ref: "web:1"}, {ref: "web:1", pulled: true}, {ref: "web:1", pulled: true, options: KeepOptions{Built: true}},
	} {
		dir, id := t.TempDir(), ""
		if test.pulled {
			pulled, err := store.Pull(t.Context(), test.ref, PullOptions{})
			if err != nil {
				t.Fatal(err)
			}
			id = pulled
		}
		kept, err := Keep(t.Context(), store, test.ref, dir, test.options)
		if err != nil || test.pinned != "" && kept.Name != test.pinned || !strings.HasSuffix(kept.Name, "@"+kept.Descriptor.Digest.String()) {
			t.Fatalf("%+v: %+v, %v", test, kept, err)
		}
		if test.pulled {
			if _, err := store.Remove(test.ref, true); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			got, err := bring(kept, dir)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("%+v: %v", test, err)
				}
				continue
			}
			if err != nil || id != "" && got != id {
				t.Fatalf("%+v: %q, %v, want %q", test, got, err, id)
			}
			if found, err := store.Lookup(kept.Name); err != nil || found.ID != got {
				t.Errorf("%+v: %+v, %v", test, found, err)
			}
			// No name of another image was taken.
			if _, err := store.Lookup(test.ref); !errors.Is(err, ErrNotFound) {
				t.Errorf("%+v: %v", test, err)
			}
		}
		if test.err == "" {
			if _, err := store.Remove(kept.Name, true); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := Keep(t.Context(), store, "web:1", t.TempDir(), KeepOptions{Built: true}); err == nil || !strings.Contains(err.Error(), "build it first") {
		t.Errorf("%v", err)
	}
	if _, err := Keep(t.Context(), store, "none:1", t.TempDir(), KeepOptions{}); err == nil || !strings.Contains(err.Error(), "not found") {
		t.Errorf("%v", err)
	}
}

// What is not what its digest says never gets into the store.
func TestBringDamaged(t *testing.T) {
	store := scratch(t)
	address := hubMirror(t, nil)
	for damaged := 0; ; damaged++ {
		// An image of its own each time: what of one is in the store by now is not read again.
		ref, dir := fmt.Sprintf("web:%d", damaged), t.TempDir()
		push(t, address, "library/"+ref, 2)
		kept, err := Keep(t.Context(), store, ref, dir, KeepOptions{})
		if err != nil {
			t.Fatal(err)
		}
		blobs, err := filepath.Glob(filepath.Join(dir, "blobs/sha256/*"))
		if err != nil || len(blobs) != 4 {
			t.Fatalf("%v, %v", blobs, err)
		}
		if damaged == len(blobs) {
			break
		}
		content, err := os.ReadFile(blobs[damaged])
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []bool{false, true} {
			content[len(content)/2] ^= 1
			if err := os.WriteFile(blobs[damaged], content, 0o600); err != nil {
				t.Fatal(err)
			}
			id, err := Bring(t.Context(), store, kept, filepath.Join(dir, "archive"), folder(dir))
			if (err == nil) != want {
				t.Errorf("blob %d, try %d: image %q, %v", damaged, i, id, err)
			}
		}
	}
}
