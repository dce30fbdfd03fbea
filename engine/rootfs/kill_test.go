package rootfs

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pcompose/pcompose/engine/image"
	"go.podman.io/storage/pkg/reexec"
)

// churn is what the killed process does: it makes, mounts and removes one root until it is killed.
func churn(graph, run, img string) {
	images, err := image.Open(image.Config{GraphRoot: graph, RunRoot: run})
	if err != nil {
		os.Exit(3)
	}
	roots, id := New(images.Storage()), testID(1)
	os.Stdout.WriteString("x")
	for {
		if roots.Create(id, "pct-killed", img, Options{}) != nil {
			os.Exit(4)
		}
		if _, err := roots.Mount(id); err != nil {
			os.Exit(5)
		}
		if roots.Remove(id) != nil {
			os.Exit(6)
		}
	}
}

// A process killed at any moment leaves a store where the same root can be made and removed without a rest.
func TestKilled(t *testing.T) {
	store := scratch(t)
	img := putImage(t, store, map[string]string{"etc/hello": "hello"})
	roots, id := New(store), testID(1)
	for round := range 40 {
		child := reexec.Command("pct-churn", store.GraphRoot(), store.RunRoot(), img)
		child.Env = os.Environ()
		started, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		started.Read(make([]byte, 1))
		// Not a wait for anything: each round strikes at another moment of the child's work.
		time.Sleep(time.Duration(round*7%17) * time.Millisecond)
		child.Process.Kill()
		var exit *exec.ExitError
		if err := child.Wait(); err != nil && (!errors.As(err, &exit) || exit.Exited()) {
			t.Fatalf("round %d: the child failed: %v", round, err)
		}
		if round%2 == 0 { // the next command may be a removal
			if err := roots.Remove(id); err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
		}
		if err := roots.Create(id, "pct-killed", img, Options{}); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		path, err := roots.Mount(id)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if _, err := os.Stat(filepath.Join(path, "etc/hello")); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if err := roots.Remove(id); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
	}
	if layers, _ := store.Layers(); len(layers) != 1 {
		t.Errorf("%d layers are left, want the image's", len(layers))
	}
	if mounts, _ := os.ReadFile("/proc/self/mountinfo"); strings.Contains(string(mounts), store.GraphRoot()+"/overlay/") {
		t.Error("a mount is left")
	}
	dirs, _ := filepath.Glob(filepath.Join(store.GraphRoot(), "overlay", strings.Repeat("?", 64)))
	if len(dirs) != 1 {
		t.Errorf("%d layer directories are left", len(dirs))
	}
}
