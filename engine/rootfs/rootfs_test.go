package rootfs

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/pcompose/pcompose/engine/image"
	"go.podman.io/storage"
	"go.podman.io/storage/pkg/reexec"
)

func TestMain(m *testing.M) {
	reexec.Register("pct-churn", func() { churn(os.Args[1], os.Args[2], os.Args[3]) })
	if reexec.Init() {
		return
	}
	os.Exit(m.Run())
}

// scratch opens a store of the test's own, outside of /tmp, which may be an overlay or tmpfs without whiteouts.
func scratch(t testing.TB) storage.Store {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: needs root to mount overlay")
	}
	dir, err := os.MkdirTemp("/var/tmp", "pct-rootfs-")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("CONTAINERS_STORAGE_CONF", os.DevNull)
	images, err := image.Open(image.Config{GraphRoot: filepath.Join(dir, "graph"), RunRoot: filepath.Join(dir, "run")})
	if err != nil {
		os.RemoveAll(dir)
		t.Skipf("SKIPPED: no overlay on /var/tmp: %v", err)
	}
	t.Cleanup(func() {
		// The first unmounts containers and says that they were mounted, the second the store itself.
		images.Storage().Shutdown(true)
		if _, err := images.Storage().Shutdown(true); err != nil {
			t.Error(err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return images.Storage()
}

// putImage stores an image of one layer with the files, and gives its ID.
func putImage(t testing.TB, store storage.Store, files map[string]string) string {
	t.Helper()
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	for name, content := range files {
		w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content)), Typeflag: tar.TypeReg})
		w.Write([]byte(content))
	}
	w.Close()
	put, _, err := store.PutLayer("", "", nil, "", false, nil, &layer)
	if err != nil {
		t.Fatal(err)
	}
	img, err := store.CreateImage("", nil, put.ID, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	return img.ID
}

func testID(n int) string { return fmt.Sprintf("%064x", n+1) }

func TestRootLife(t *testing.T) {
	store := scratch(t)
	img := putImage(t, store, map[string]string{"etc/hello": "hello"})
	roots := New(store)
	id := testID(1)
	for range 2 { // idempotent
		if err := roots.Create(id, "pct-web-1", img, Options{Project: "pct"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := roots.Create(testID(2), "pct-web-1", img, Options{}); err == nil || !strings.Contains(err.Error(), `of project "pct" has its name`) {
		t.Errorf("a taken name: %v", err)
	}
	path, err := roots.Mount(id)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := roots.Mount(id); err != nil || again != path {
		t.Errorf("second mount: %q, %v", again, err)
	}
	if b, err := os.ReadFile(filepath.Join(path, "etc/hello")); err != nil || string(b) != "hello" {
		t.Errorf("%q, %v", b, err)
	}
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, path) && strings.Contains(line, "volatile") {
			t.Errorf("the mount is volatile: %s", line)
		}
	}
	os.WriteFile(filepath.Join(path, "written"), nil, 0o600)
	for range 2 {
		if err := roots.Unmount(id); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(path, "etc")); err == nil {
		t.Error("still mounted after Unmount")
	}
	if path, err = roots.Mount(id); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(path, "written")); err != nil {
		t.Error("what was written is lost")
	}
	if list, err := roots.List(); err != nil || len(list) != 1 || list[0].Name != "pct-web-1" || list[0].Project != "pct" || list[0].ImageID != img {
		t.Errorf("%+v, %v", list, err)
	}
	if ex, err := roots.Exists([]string{testID(9), id}); err != nil || ex[0] || !ex[1] {
		t.Errorf("%v %v", ex, err)
	}
	if err := roots.Sync(); err != nil {
		t.Error(err)
	}
	for range 2 { // mounted, then gone
		if err := roots.Remove(id); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := roots.Mount(id); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("%v", err)
	}
	if layers, _ := store.Layers(); len(layers) != 1 {
		t.Errorf("%d layers are left, want the image's", len(layers))
	}
}

// A creation killed between layer and record leaves a layer of the container's ID.
func TestHalfMadeRoot(t *testing.T) {
	store := scratch(t)
	img := putImage(t, store, nil)
	roots := New(store)
	for _, finish := range []func(string) error{
		func(id string) error { return roots.Create(id, "pct-half", img, Options{}) },
		roots.Remove,
	} {
		id := testID(7)
		if _, err := store.CreateLayer(id, "", nil, "", true, nil); err != nil {
			t.Fatal(err)
		}
		if err := finish(id); err != nil {
			t.Fatal(err)
		}
		if err := roots.Remove(id); err != nil {
			t.Fatal(err)
		}
		if store.Exists(id) {
			t.Error("the layer is left")
		}
	}
	if err := roots.Create("../x", "pct-x", img, Options{}); err == nil {
		t.Error("an ID with a path was taken")
	}
}

func BenchmarkRoots(b *testing.B) {
	for _, n := range []int{1, 5, 50} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			store := scratch(b)
			img := putImage(b, store, map[string]string{"etc/hello": "hello"})
			roots := New(store)
			each := func(do func(i int) error) {
				var wg sync.WaitGroup
				for i := range n {
					wg.Go(func() {
						if err := do(i); err != nil {
							b.Error(err)
						}
					})
				}
				wg.Wait()
			}
			phases := []struct {
				name string
				do   func(i int) error
			}{
				{"create", func(i int) error { return roots.Create(testID(i), fmt.Sprint("pct-", i), img, Options{}) }},
				{"mount", func(i int) error { _, err := roots.Mount(testID(i)); return err }},
				{"sync", func(i int) error {
					if i > 0 {
						return nil
					}
					return roots.Sync()
				}},
				{"remove", func(i int) error { return roots.Remove(testID(i)) }},
			}
			took := make([]float64, len(phases))
			for b.Loop() {
				for p, phase := range phases {
					before := b.Elapsed()
					each(phase.do)
					took[p] += float64((b.Elapsed() - before).Microseconds()) / 1000 / float64(n)
				}
			}
			for p, phase := range phases {
				b.ReportMetric(took[p]/float64(b.N), phase.name+"-ms")
			}
		})
	}
}

// A record without a layer, which a killed removal leaves, neither exists nor holds its name.
func TestHalfRemovedRoot(t *testing.T) {
	store := scratch(t)
	img := putImage(t, store, nil)
	roots := New(store)
	for next, id := range []string{testID(1), testID(2)} { // the same container again, another of its name
		if err := roots.Create(testID(1), "pct-half", img, Options{}); err != nil {
			t.Fatal(err)
		}
		// containers-storage refuses to delete a layer in use, so its record is made to forget it.
		records := filepath.Join(store.GraphRoot(), "overlay-layers", "volatile-layers.json")
		if err := os.WriteFile(records, []byte("[]"), 0o600); err != nil {
			t.Fatal(err)
		}
		if exist, err := roots.Exists([]string{testID(1)}); err != nil || exist[0] {
			t.Errorf("%d: %v, %v", next, exist, err)
		}
		os.RemoveAll(filepath.Join(store.GraphRoot(), "overlay", testID(1)))
		if err := roots.Create(id, "pct-half", img, Options{}); err != nil {
			t.Fatalf("%d: %v", next, err)
		}
		if _, err := roots.Mount(id); err != nil {
			t.Errorf("%d: %v", next, err)
		}
		if err := roots.Remove(id); err != nil {
			t.Fatal(err)
		}
	}
}
