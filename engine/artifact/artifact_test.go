package artifact

import (
	"bytes"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/pcompose/pcompose/engine/image"
)

// newRegistry runs a registry, which answers as before does where that returns true, and gives its host.
func newRegistry(t *testing.T, before func(http.ResponseWriter, *http.Request) bool) string {
	t.Helper()
	own := registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if before == nil || !before(w, r) {
			own.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	// No file of the machine's counts.
	conf := filepath.Join(t.TempDir(), "registries.conf")
	if err := os.WriteFile(conf, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CONTAINERS_REGISTRIES_CONF", conf)
	return strings.TrimPrefix(server.URL, "http://")
}

func files() []File {
	return []File{
		{"compose.yaml", Main, []byte("services: {}\n")}, {"override.yaml", Main, []byte("name: x\n")},
		{"base.yaml", Extended, []byte("services: {web: {}}\n")}, {"web.env", Env, []byte("A=1\n")},
	}
}

func TestPublishAndFetch(t *testing.T) {
	for _, version := range []string{"", "1.0", "1.1"} {
		t.Run(version, func(t *testing.T) {
			asked := 0
			host := newRegistry(t, func(_ http.ResponseWriter, _ *http.Request) bool { asked++; return false })
			registries := image.NewRegistries().Insecure()
			for range 2 { // publishing twice is as once
				err := Publish(t.Context(), registries, host+"/app:1", Publication{Files: files(), OCI: version, Created: time.Unix(0, 0), Version: "v"})
				if err != nil {
					t.Fatal(err)
				}
			}
			p := New(filepath.Join(t.TempDir(), "cache"), registries)
			file, root, err := p.Fetch(t.Context(), "oci://"+host+"/app:1")
			if err != nil {
				t.Fatal(err)
			}
			for path, want := range map[string]string{
				file: "services: {}\n\n---\nname: x\n", filepath.Join(root, "base.yaml"): "services: {web: {}}\n", filepath.Join(root, "web.env"): "A=1\n",
			} {
				if got, err := os.ReadFile(path); err != nil || string(got) != want {
					t.Errorf("%s has %q, %v", path, got, err)
				}
			}
			asked = 0
			if _, again, err := p.Fetch(t.Context(), "oci://"+host+"/app@sha256:"+filepath.Base(root)); err != nil || again != root || asked > 0 {
				t.Errorf("by digest: %q, %v, after %d requests", again, err, asked)
			}
		})
	}
}

func TestPublishToARegistryBeforeOCI11(t *testing.T) {
	host := newRegistry(t, func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut || !strings.Contains(r.URL.Path, "/manifests/") {
			return false
		}
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		if !bytes.Contains(body, []byte(`"artifactType"`)) {
			return false
		}
		http.Error(w, `{"errors":[{"code":"MANIFEST_INVALID","message":"no"}]}`, http.StatusBadRequest)
		return true
	})
	registries := image.NewRegistries().Insecure()
	if err := Publish(t.Context(), registries, host+"/app:1", Publication{Files: files()}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := New(t.TempDir(), registries).Fetch(t.Context(), "oci://"+host+"/app:1"); err != nil {
		t.Fatal(err)
	}
	if err := Publish(t.Context(), registries, host+"/app:1", Publication{Files: files(), OCI: "1.1"}); err == nil {
		t.Error("the registry took what it does not know")
	}
}

func TestPublishWithImages(t *testing.T) {
	host := newRegistry(t, nil)
	img, err := random.Image(100, 1)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(host+"/web:2", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, img); err != nil {
		t.Fatal(err)
	}
	registries := image.NewRegistries().Insecure()
	if err := Publish(t.Context(), registries, host+"/app:1", Publication{Files: files(), Images: []string{host + "/web:2"}}); err != nil {
		t.Fatal(err)
	}
	id, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	repository := ref.Context().Registry.Repo("app")
	if _, err := remote.Image(repository.Digest(id.String())); err != nil {
		t.Errorf("the image was not copied: %v", err)
	}
	project, err := remote.Head(repository.Tag("1"))
	if err != nil {
		t.Fatal(err)
	}
	if index, err := remote.Referrers(repository.Digest(project.Digest.String())); err != nil {
		t.Error(err)
	} else if m, err := index.IndexManifest(); err != nil || len(m.Manifests) != 1 {
		t.Errorf("nothing refers to the project: %v, %v", m, err)
	}
}

func TestFetchWhatIsNoProject(t *testing.T) {
	host := newRegistry(t, nil)
	img, err := random.Image(100, 1)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(host+"/web:2", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, img); err != nil {
		t.Fatal(err)
	}
	p := New(t.TempDir(), image.NewRegistries().Insecure())
	for reference, want := range map[string]string{
		"/web:2": "this is an image, not a Compose project", "/none:1": "not found",
	} {
		if _, _, err := p.Fetch(t.Context(), "oci://"+host+reference); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", reference, err)
		}
	}
}

func TestFetchRefusesNamesThatLeadOut(t *testing.T) {
	host := newRegistry(t, nil)
	registries := image.NewRegistries().Insecure()
	for _, bad := range []string{"../x", "/etc/x", "a/b", "..", ".", "", `a\b`, "compose.yaml"} {
		all := append(files(), File{bad, Env, []byte("A=1")})
		if err := Publish(t.Context(), registries, host+"/app:1", Publication{Files: all, Version: bad}); err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if _, _, err := New(filepath.Join(dir, "a"), registries).Fetch(t.Context(), "oci://"+host+"/app:1"); err == nil {
			t.Errorf("%q was written", bad)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "a", "[^.]*")); len(left) > 0 {
			t.Errorf("%q left %q", bad, left)
		}
	}
}

func TestFetchRefusesOtherContent(t *testing.T) {
	host := newRegistry(t, func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") {
			_, _ = io.WriteString(w, "services: {evil: {image: x}}")
			return true
		}
		return false
	})
	registries := image.NewRegistries().Insecure()
	if err := Publish(t.Context(), registries, host+"/app:1", Publication{Files: files()}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := New(t.TempDir(), registries).Fetch(t.Context(), "oci://"+host+"/app:1"); err == nil || !strings.Contains(err.Error(), "not what its digest says") {
		t.Errorf("got %v", err)
	}
}
