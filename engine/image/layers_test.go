package image

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/copy"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/docker/reference"
	imagestorage "go.podman.io/image/v5/storage"
	"go.podman.io/storage"
	"go.podman.io/storage/pkg/archive"
)

// putStore notes how layers come into a store: as a proof, so decompressed once, or in containers/image's way.
type putStore struct {
	storage.Store
	mu              sync.Mutex
	proven, another int
}

func (s *putStore) PutLayer(id, parent string, names []string, label string, writable bool, options *storage.LayerOptions, diff io.Reader) (*storage.Layer, int64, error) { //nolint:revive // storage.Store's
	layer, size, err := s.Store.PutLayer(id, parent, names, label, writable, options, diff)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := diff.(*proof); err == nil && ok {
		s.proven++
	} else if err == nil {
		s.another++
	}
	return layer, size, err
}

// watched is a store of the test's own whose layers are counted, with a folder for large files that is empty in the end.
func watched(t *testing.T) (*Store, *putStore) {
	t.Helper()
	store := scratch(t)
	puts := &putStore{Store: store.storage}
	store.storage, store.now = puts, func() time.Time { return time.Unix(1, 0) }
	store.sys.BigFilesTemporaryDir = t.TempDir()
	t.Cleanup(func() {
		left, err := os.ReadDir(store.sys.BigFilesTemporaryDir)
		if err != nil || len(left) > 0 {
			t.Errorf("left: %v, %v", left, err)
		}
	})
	return store, puts
}

// requests counts what is fetched of a registry, by the last part of its path; answer may answer first.
type requests struct {
	mu     sync.Mutex
	got    map[string]int
	answer func(http.ResponseWriter, *http.Request) bool
}

func (r *requests) gate(w http.ResponseWriter, req *http.Request) bool {
	if req.Method != http.MethodGet || strings.HasSuffix(req.URL.Path, "/v2/") {
		return false
	}
	r.mu.Lock()
	if r.got == nil {
		r.got = map[string]int{}
	}
	r.got[req.URL.Path[strings.LastIndex(req.URL.Path, "/")+1:]]++
	r.mu.Unlock()
	return r.answer != nil && r.answer(w, req)
}

// twice are those asked for more than once.
func (r *requests) twice() (all []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for what, times := range r.got {
		if times > 1 {
			all = append(all, what)
		}
	}
	return all
}

func randomLayers(t *testing.T, n int) (all []v1.Layer) {
	t.Helper()
	for range n {
		layer, err := random.Layer(64<<10, types.DockerLayer)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, layer)
	}
	return all
}

// imageOf is an image of layers; edit may change its configuration.
func imageOf(t *testing.T, layers []v1.Layer, edit func(*v1.ConfigFile)) v1.Image {
	t.Helper()
	img, err := mutate.AppendLayers(empty.Image, layers...)
	if err != nil {
		t.Fatal(err)
	}
	file, _ := img.ConfigFile()
	file = file.DeepCopy()
	file.OS, file.Architecture = "linux", runtime.GOARCH
	if edit != nil {
		edit(file)
	}
	if img, err = mutate.ConfigFile(img, file); err != nil {
		t.Fatal(err)
	}
	return img
}

// TestPullIsAsPodmans has what a pull leaves in the store compared with what containers/image leaves, field by field.
func TestPullIsAsPodmans(t *testing.T) {
	asked := &requests{}
	address := hubMirror(t, asked.gate)
	layers := randomLayers(t, 3)
	layers = append(layers, layers[1]) // one comes twice
	upload(t, address, "library/web:1", imageOf(t, layers, nil))
	list := pushIndex(t, address, "library/multi")
	records := func(pull func(store *Store, ref string)) (all [2][]map[string]any) {
		store, _ := watched(t)
		pull(store, "docker.io/library/web:1")
		pull(store, "docker.io/library/multi:1")
		if _, err := store.find("multi@" + list); err != nil {
			t.Error(err)
		}
		layers, err := store.storage.Layers()
		if err != nil {
			t.Fatal(err)
		}
		images, err := store.storage.Images()
		if err != nil {
			t.Fatal(err)
		}
		for i, stored := range []any{layers, images} {
			var objects []map[string]any
			text, _ := json.Marshal(stored)
			json.Unmarshal(text, &objects)
			for _, o := range objects {
				delete(o, "created")
			}
			slices.SortFunc(objects, func(a, b map[string]any) int { return strings.Compare(a["id"].(string), b["id"].(string)) })
			all[i] = objects
			if len(objects) == 0 {
				t.Error("nothing is stored")
			}
		}
		return all
	}
	ours := records(func(store *Store, ref string) {
		if _, err := store.Pull(t.Context(), ref, PullOptions{}); err != nil {
			t.Error(err)
		}
		if puts := store.storage.(*putStore); puts.another > 0 || puts.proven < 4 {
			t.Errorf("%d layers were decompressed once, %d twice", puts.proven, puts.another)
		}
	})
	// Of the layer that comes twice the first one is repeated: it is fetched once.
	if twice := asked.twice(); len(twice) != 1 || twice[0] != "1" { // both tags are 1
		t.Errorf("fetched again: %v", twice)
	}
	theirs := records(func(store *Store, ref string) {
		name, _ := reference.ParseNormalizedNamed(ref)
		source, _ := docker.NewReference(name)
		target, _ := imagestorage.Transport.NewStoreReference(store.storage, name, "")
		sys, _ := store.System()
		if err := copyImage(t.Context(), target, source, &copy.Options{SourceCtx: sys, DestinationCtx: sys}, nil); err != nil {
			t.Fatal(err)
		}
		stored, err := findName(store.storage, name)
		if err != nil {
			t.Fatal(err)
		}
		if err := store.pulled(stored.ID); err != nil {
			t.Fatal(err)
		}
	})
	for i := range ours {
		for j := range ours[i] {
			if !reflect.DeepEqual(ours[i][j], theirs[i][j]) {
				t.Errorf("\n got %v\nwant %v", ours[i][j], theirs[i][j])
			}
		}
	}
}

// TestPullUnusual has images pulled that cannot be unpacked while they come, or are not what they claim.
func TestPullUnusual(t *testing.T) {
	plain := func(layer v1.Layer, kind types.MediaType) v1.Layer {
		stream, err := layer.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(stream)
		if err != nil {
			t.Fatal(err)
		}
		return static.NewLayer(content, kind)
	}
	layers, other := randomLayers(t, 3), randomLayers(t, 1)[0]
	claimed, _ := other.DiffID()
	uncompressed := archive.Uncompressed
	for _, test := range []struct {
		name            string
		layers          []v1.Layer
		edit            func(*v1.ConfigFile)
		proven, another int
		err             string
	}{
		{"no gzip within", []v1.Layer{layers[0], plain(layers[1], types.DockerLayer), layers[2]}, nil, 1, 2, ""},
		{"no gzip at all", []v1.Layer{plain(layers[0], types.DockerUncompressedLayer)}, nil, 0, 1, ""},
		{"no diff IDs", layers, func(c *v1.ConfigFile) { c.RootFS.DiffIDs = nil }, 0, 3, ""},
		{"too few diff IDs", layers, func(c *v1.ConfigFile) { c.RootFS.DiffIDs = c.RootFS.DiffIDs[:2] }, 0, 2, "image config has only 2 DiffID values"},
		{"another's diff ID", layers, func(c *v1.ConfigFile) { c.RootFS.DiffIDs[0] = claimed }, 0, 0, "does not match config's DiffID"},
		{"another's diff ID above", layers, func(c *v1.ConfigFile) { c.RootFS.DiffIDs[1] = claimed }, 1, 0, "does not match config's DiffID"},
	} {
		t.Run(test.name, func(t *testing.T) {
			store, puts := watched(t)
			address := hubMirror(t, nil)
			img := imageOf(t, test.layers, test.edit)
			upload(t, address, "library/web:1", img)
			for range 2 { // again it is the same
				_, err := store.Pull(t.Context(), "web:1", PullOptions{Progress: func(Progress) {}})
				switch {
				case test.err == "" && err != nil, test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)):
					t.Errorf("%v", err)
				}
			}
			if puts.proven != test.proven || puts.another != test.another {
				t.Errorf("%d layers were decompressed once, %d twice", puts.proven, puts.another)
			}
			// What is in the store is what its digest says, under the claimed ID or any.
			all, err := store.storage.Layers()
			if err != nil || len(all) != test.proven+test.another {
				t.Errorf("%d layers, %v", len(all), err)
			}
			for _, layer := range all {
				stream, err := store.storage.Diff("", layer.ID, &storage.DiffOptions{Compression: &uncompressed})
				if err != nil {
					t.Fatal(err)
				}
				got, err := digest.FromReader(stream)
				if stream.Close(); err != nil || got != layer.UncompressedDigest || strings.Contains(layer.ID, claimed.Hex) {
					t.Errorf("%s: %s, %v: want %s", layer.ID, got, err, layer.UncompressedDigest)
				}
			}
			if images, _ := store.List(); (len(images) == 0) != (test.err != "") {
				t.Errorf("%+v", images)
			}
		})
	}
}

// TestPullShares has a layer fetched once that two images have, at once, in another order, and after one of them.
func TestPullShares(t *testing.T) {
	store, puts := watched(t)
	asked := &requests{}
	address := hubMirror(t, asked.gate)
	layers := randomLayers(t, 4)
	for name, order := range map[string][]v1.Layer{"a": layers[:2], "b": {layers[0], layers[2]}, "c": {layers[1], layers[0], layers[3]}} {
		upload(t, address, "library/"+name+":"+name, imageOf(t, order, nil))
	}
	var pulls sync.WaitGroup
	for _, name := range []string{"a:a", "b:b"} {
		pulls.Go(func() {
			if _, err := store.Pull(t.Context(), name, PullOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
	pulls.Wait()
	if _, err := store.Pull(t.Context(), "c:c", PullOptions{}); err != nil {
		t.Error(err)
	}
	if twice := asked.twice(); len(twice) > 0 {
		t.Errorf("fetched again: %v", twice)
	}
	if puts.proven != 4 || puts.another != 2 {
		t.Errorf("%d layers were decompressed once, %d repeated", puts.proven, puts.another)
	}
}

// TestPullDamaged has pulls end that cannot succeed, with nothing of the damaged layer kept, and the next one succeed.
func TestPullDamaged(t *testing.T) {
	layers := randomLayers(t, 3)
	damaged, _ := layers[1].Digest()
	stream, _ := layers[1].Compressed()
	content, err := io.ReadAll(stream)
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(content)
	flipped[len(flipped)/2] ^= 1
	for name, served := range map[string][]byte{
		"cut": content[:len(content)/2], "changed": flipped, "more": append(bytes.Clone(content), 0), "none": nil,
	} {
		t.Run(name, func(t *testing.T) {
			store, _ := watched(t)
			asked, broken := &requests{}, true
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			asked.answer = func(w http.ResponseWriter, r *http.Request) bool {
				if !broken || !strings.HasSuffix(r.URL.Path, damaged.String()) {
					return false
				}
				if served == nil {
					cancel()
					<-r.Context().Done()
				}
				w.Write(served)
				return true
			}
			address := hubMirror(t, asked.gate)
			upload(t, address, "library/web:1", imageOf(t, layers, nil))
			if _, err := store.Pull(ctx, "web:1", PullOptions{}); err == nil || served == nil != (ctx.Err() != nil) {
				t.Errorf("%v", err)
			} else if served != nil && !strings.Contains(err.Error(), "Digest did not match") {
				t.Errorf("%v", err)
			}
			if images, _ := store.List(); len(images) > 0 {
				t.Errorf("%+v", images)
			}
			if all, _ := store.storage.Layers(); len(all) > 1 {
				t.Errorf("%+v", all)
			}
			broken = false
			if _, err := store.Pull(t.Context(), "web:1", PullOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
}
