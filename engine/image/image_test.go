package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/pcompose/pcompose/pod"
	"go.podman.io/image/v5/pkg/sysregistriesv2"
	"go.podman.io/storage/pkg/reexec"
)

func TestMain(m *testing.M) {
	if reexec.Init() {
		return
	}
	os.Exit(m.Run())
}

// scratch opens a store of the test's own, outside of /tmp, which may be an overlay or tmpfs without whiteouts.
func scratch(t testing.TB) *Store {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: needs root to mount overlay")
	}
	dir, err := os.MkdirTemp("/var/tmp", "pct-image-")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("CONTAINERS_STORAGE_CONF", os.DevNull)
	t.Setenv("HOME", dir)
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(dir, "config"))
	store, err := Open(Config{GraphRoot: filepath.Join(dir, "graph"), RunRoot: filepath.Join(dir, "run")})
	if err != nil {
		os.RemoveAll(dir)
		t.Skipf("SKIPPED: no overlay on /var/tmp: %v", err)
	}
	t.Cleanup(func() {
		// The first unmounts containers and says that they were mounted, the second the store itself.
		store.Storage().Shutdown(true)
		if _, err := store.Storage().Shutdown(true); err != nil {
			t.Error(err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return store
}

// hubMirror is a registry on loopback that registries.conf makes a mirror of Docker Hub; gate sees every request
// first, and answers it by returning true.
func hubMirror(t testing.TB, gate func(http.ResponseWriter, *http.Request) bool) (address string) {
	t.Helper()
	reg := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if gate == nil || !gate(w, r) {
			reg.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	address = strings.TrimPrefix(server.URL, "http://")
	// Docker Hub itself is a port of loopback where nobody listens, so that no test leaves the machine.
	registries(t, fmt.Sprintf(`unqualified-search-registries = ["docker.io"]
short-name-mode = "permissive"
[[registry]]
prefix = "docker.io"
location = "127.0.0.1:1"
insecure = true
[[registry.mirror]]
location = %q
insecure = true
`, address))
	return address
}

// registries makes a text the registries.conf of the test.
func registries(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "registries.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CONTAINERS_REGISTRIES_CONF", path)
	sysregistriesv2.InvalidateCache()
	t.Cleanup(sysregistriesv2.InvalidateCache)
	return path
}

// push puts an image of random layers into the registry, and gives the hexadecimal digest of its configuration.
func push(t testing.TB, address, repo string, layers int64) string {
	t.Helper()
	img, err := random.Image(64<<10, layers)
	if err != nil {
		t.Fatal(err)
	}
	file, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	file = file.DeepCopy()
	file.OS, file.Architecture = "linux", runtime.GOARCH
	file.Config = v1.Config{
		Env: []string{"PATH=/bin", "AWS_SECRET*"}, Cmd: []string{"run"}, User: "app",
		ExposedPorts: map[string]struct{}{"80/tcp": {}, "53/udp": {}},
	}
	img, err = mutate.ConfigFile(img, file)
	if err != nil {
		t.Fatal(err)
	}
	upload(t, address, repo, img)
	id, err := img.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	return id.Hex
}

// upload speaks the distribution API: ggcr's remote package would bring docker's CLI along.
func upload(t testing.TB, address, repo string, img v1.Image) {
	t.Helper()
	send := func(method, path, mediaType string, body io.Reader) {
		t.Helper()
		req, _ := http.NewRequestWithContext(t.Context(), method, "http://"+address+"/v2/"+path, body)
		req.Header.Set("Content-Type", mediaType)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusCreated {
			t.Fatalf("%s %s: %s", method, path, resp.Status)
		}
	}
	repo, tag, _ := strings.Cut(repo, ":")
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, layer := range layers {
		digest, _ := layer.Digest()
		content, err := layer.Compressed()
		if err != nil {
			t.Fatal(err)
		}
		send(http.MethodPost, repo+"/blobs/uploads/?digest="+digest.String(), "application/octet-stream", content)
	}
	config, _ := img.RawConfigFile()
	id, _ := img.ConfigName()
	send(http.MethodPost, repo+"/blobs/uploads/?digest="+id.String(), "application/octet-stream", bytes.NewReader(config))
	manifest, _ := img.RawManifest()
	mediaType, _ := img.MediaType()
	send(http.MethodPut, repo+"/manifests/"+tag, string(mediaType), bytes.NewReader(manifest))
}

func TestPullAndLookup(t *testing.T) {
	store := scratch(t)
	want := push(t, hubMirror(t, nil), "library/web:1", 3)
	var complete, present int
	progress := func(p Progress) {
		if p.Complete {
			complete++
			if p.Total >= 0 && p.Done != p.Total {
				t.Errorf("%+v", p)
			}
		}
		if p.Present {
			present++
		}
	}
	id, err := store.Pull(t.Context(), "web:1", PullOptions{Progress: progress})
	if err != nil || id != want {
		t.Fatalf("%q, %v, want %q", id, err, want)
	}
	if complete != 4 || present != 0 { // three layers and the configuration
		t.Errorf("%d blobs complete, %d present", complete, present)
	}
	if id, err := store.Pull(t.Context(), "docker.io/library/web:1", PullOptions{Progress: progress}); err != nil || id != want || present < 3 {
		t.Errorf("again: %q, %v, %d blobs present", id, err, present)
	}
	detail, err := store.Inspect(id)
	if err != nil || len(detail.Layers) != 3 || detail.Size < 3*64<<10 || !slices.Equal(detail.Names, []string{"docker.io/library/web:1"}) {
		t.Errorf("%+v, %v", detail, err)
	}
	if !slices.Equal(detail.Config.Env, []string{"PATH=/bin"}) || detail.Config.User != "app" {
		t.Errorf("%+v", detail.Config)
	}
	for _, ref := range []string{"web:1", "library/web:1", "docker.io/web:1", "docker.io/library/web:1", id, id[:12], "sha256:" + id, "web@" + detail.Digest, "docker.io/library/web@" + detail.Digest} {
		got, err := store.Lookup(ref)
		if err != nil || got.ID != id || !slices.Equal(got.Listens, []pod.Listen{{Port: 53, Protocol: pod.UDP}, {Port: 80, Protocol: pod.TCP}}) {
			t.Errorf("%s: %+v, %v", ref, got, err)
		}
	}
	for _, ref := range []string{"web", "web:2", "quay.io/library/web:1", strings.Repeat("0", 64), "deadbeef"} {
		if got, err := store.Lookup(ref); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %+v, %v", ref, got, err)
		}
	}
	if _, err := store.Lookup("Web::1"); err == nil || !strings.Contains(err.Error(), `image reference "Web::1" is not valid`) {
		t.Errorf("%v", err)
	}
}

func TestPullErrors(t *testing.T) {
	store := scratch(t)
	address := hubMirror(t, nil)
	for _, test := range []struct{ ref, platform, err string }{
		{"web:9", "", `cannot pull image "web:9": docker.io/library/web:9: mirror ` + address + `: not found; 127.0.0.1:1: connection refused`},
		{"quay.invalid/web", "", `cannot pull image "quay.invalid/web": quay.invalid/web:latest: quay.invalid: cannot resolve its host name`},
		{"web:1", "linux", `platform "linux" is not of the form os/architecture[/variant]`},
		{"Web", "", `image reference "Web" is not valid`},
	} {
		_, err := store.Pull(t.Context(), test.ref, PullOptions{Platform: test.platform})
		if err == nil || !strings.Contains(err.Error(), test.err) {
			t.Errorf("%s:\n got %v\nwant %s", test.ref, err, test.err)
		}
	}
	if images, _ := store.List(); len(images) > 0 {
		t.Errorf("images are left: %+v", images)
	}
}

// A pull that breaks in the middle, or is cancelled, leaves no image, and the next one is whole.
func TestPullBroken(t *testing.T) {
	store := scratch(t)
	ctx, cancel := context.WithCancel(t.Context())
	blobs, broken := 0, true
	address := hubMirror(t, func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/blobs/") || !broken {
			return false
		}
		if blobs++; blobs < 3 {
			return false
		}
		cancel()
		w.WriteHeader(http.StatusInternalServerError)
		return true
	})
	want := push(t, address, "library/big:1", 4)
	if _, err := store.Pull(ctx, "big:1", PullOptions{Progress: func(Progress) {}}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if images, _ := store.List(); len(images) > 0 {
		t.Errorf("half an image: %+v", images)
	}
	broken = false
	if id, err := store.Pull(t.Context(), "big:1", PullOptions{}); err != nil || id != want {
		t.Errorf("%q, %v", id, err)
	}
}

func TestPush(t *testing.T) {
	store := scratch(t)
	address := hubMirror(t, nil)
	push(t, address, "library/web:1", 2)
	if _, err := store.Pull(t.Context(), "web:1", PullOptions{}); err != nil {
		t.Fatal(err)
	}
	store.Tag("docker.io/library/web:1", "127.0.0.1:1/web")
	if err := store.Push(t.Context(), "127.0.0.1:1/web", nil); err == nil || err.Error() != `cannot push image "127.0.0.1:1/web" to 127.0.0.1:1: connection refused` {
		t.Errorf("%v", err)
	}
	registries(t, fmt.Sprintf("[[registry]]\nlocation = %q\ninsecure = true\n", address))
	name := address + "/shop/web:2"
	if err := store.Tag("docker.io/library/web:1", name); err != nil {
		t.Fatal(err)
	}
	blobs := 0
	if err := store.Push(t.Context(), name, func(p Progress) {
		if p.Complete {
			blobs++
		}
	}); err != nil || blobs != 3 {
		t.Fatalf("%v, %d blobs", err, blobs)
	}
	if _, err := store.Remove(name, false); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Pull(t.Context(), name, PullOptions{}); err != nil {
		t.Error(err)
	}
	if err := store.Push(t.Context(), "none:1", nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("%v", err)
	}
}

func TestTagRemovePrune(t *testing.T) {
	store := scratch(t)
	push(t, hubMirror(t, nil), "library/web:1", 1)
	id, err := store.Pull(t.Context(), "web:1", PullOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Tag("web:1", "shop/web"); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Remove(id, false); err == nil || !strings.Contains(err.Error(), "it has the names") {
		t.Errorf("%v", err)
	}
	if got, err := store.Remove("shop/web", false); err != nil || !slices.Equal(got.Untagged, []string{"docker.io/shop/web:latest"}) || len(got.Deleted) > 0 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := store.Storage().CreateContainer("", []string{"pct-user"}, id, "", "", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Remove("web:1", false); err == nil || err.Error() != `cannot remove image "web:1": container "pct-user" uses it` {
		t.Errorf("%v", err)
	}
	if got, err := store.Remove("web:1", true); err != nil || len(got.Deleted) > 0 || len(got.Untagged) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := store.Prune(true); err != nil || len(got.Deleted) > 0 {
		t.Errorf("in use: %+v, %v", got, err)
	}
	if err := store.Storage().DeleteContainer("pct-user"); err != nil {
		t.Fatal(err)
	}
	if got, err := store.Prune(false); err != nil || !slices.Equal(got.Deleted, []string{id}) || got.Freed < 64<<10 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := store.Remove("web:1", false); !errors.Is(err, ErrNotFound) || err.Error() != `cannot remove image "web:1": no such image` {
		t.Errorf("%v", err)
	}
}

func TestSaveLoad(t *testing.T) {
	others, _ := filepath.Glob("/var/tmp/pcompose-*")
	store := scratch(t)
	address := hubMirror(t, nil)
	for _, repo := range []string{"library/a:1", "library/b:1"} {
		push(t, address, repo, 2)
		if _, err := store.Pull(t.Context(), strings.TrimPrefix(repo, "library/"), PullOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		format string
		refs   []string
	}{{DockerArchive, []string{"a:1", "b:1"}}, {OCIArchive, []string{"a:1"}}} {
		before, err := store.Lookup("a:1")
		if err != nil {
			t.Fatal(err)
		}
		var archive bytes.Buffer
		if err := store.Save(t.Context(), test.refs, test.format, &archive); err != nil {
			t.Fatal(err)
		}
		for _, ref := range test.refs {
			if _, err := store.Remove(ref, false); err != nil {
				t.Fatal(err)
			}
		}
		names, err := store.Load(t.Context(), &archive)
		if err != nil || len(names) != len(test.refs) || names[0] != "docker.io/library/a:1" {
			t.Errorf("%s: %v, %v", test.format, names, err)
		}
		// An OCI archive has the configuration in another form, and so another ID.
		if after, err := store.Lookup("a:1"); err != nil || (after.ID == before.ID) != (test.format == DockerArchive) {
			t.Errorf("%s: %v, %v", test.format, after, err)
		}
	}
	if err := store.Save(t.Context(), []string{"a:1", "b:1"}, OCIArchive, io.Discard); err == nil {
		t.Error("two images in an OCI archive")
	}
	if err := store.Save(t.Context(), []string{"c:1"}, DockerArchive, io.Discard); !errors.Is(err, ErrNotFound) {
		t.Errorf("%v", err)
	}
	if _, err := store.Load(t.Context(), strings.NewReader("no archive")); err == nil || strings.Count(err.Error(), "\n") > 0 {
		t.Errorf("%v", err)
	}
	if left, _ := filepath.Glob("/var/tmp/pcompose-*"); !slices.Equal(left, others) {
		t.Errorf("left: %v, before: %v", left, others)
	}
}

// What every `up` with nothing to do pays: opening the store and finding five images.
func BenchmarkOpenAndLookup(b *testing.B) {
	store := scratch(b)
	address := hubMirror(b, nil)
	for i := range 5 {
		push(b, address, fmt.Sprintf("library/web:%d", i), 3)
		if _, err := store.Pull(b.Context(), fmt.Sprintf("web:%d", i), PullOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	config := Config{GraphRoot: store.storage.GraphRoot(), RunRoot: store.storage.RunRoot()}
	for b.Loop() {
		store.Close() // GetStore gives the same store again until it is freed
		sysregistriesv2.InvalidateCache()
		opened, err := Open(config)
		if err != nil {
			b.Fatal(err)
		}
		for i := range 5 {
			if _, err := opened.Lookup(fmt.Sprintf("web:%d", i)); err != nil {
				b.Fatal(err)
			}
		}
		store = opened
	}
}
