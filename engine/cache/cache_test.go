package cache

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func write(name string) func(string) error {
	return func(dir string) error { return os.WriteFile(filepath.Join(dir, name), nil, 0o600) }
}

func TestGetFillsOnce(t *testing.T) {
	d := Dir(filepath.Join(t.TempDir(), "a", "cache"))
	if d.Has("x") {
		t.Fatal("has what was never put there")
	}
	for range 2 {
		path, err := d.Get(t.Context(), "x", func(dir string) error {
			if d.Has("x") {
				t.Error("filled twice")
			}
			return write("file")(dir)
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(path, "file")); err != nil || !d.Has("x") {
			t.Fatal(err)
		}
	}
}

func TestGetLeavesNothingOfAFailure(t *testing.T) {
	d := Dir(t.TempDir())
	failure := errors.New("no")
	if _, err := d.Get(t.Context(), "x", func(dir string) error { return errors.Join(write("half")(dir), failure) }); !errors.Is(err, failure) {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(string(d), partial+"*")); len(left) > 0 || d.Has("x") {
		t.Fatalf("left %q", left)
	}
}

func TestGetCleansAfterAKilledCall(t *testing.T) {
	d := Dir(t.TempDir())
	if err := os.MkdirAll(filepath.Join(string(d), partial+"1", "deep"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Get(t.Context(), "x", write("file")); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(string(d), partial+"*")); len(left) > 0 {
		t.Fatalf("left %q", left)
	}
}

func TestRemove(t *testing.T) {
	d := Dir(filepath.Join(t.TempDir(), "cache"))
	if names, err := d.Names(); err != nil || len(names) > 0 {
		t.Fatalf("%q, %v: of a cache that is not there", names, err)
	}
	if err := d.Remove(t.Context(), "x"); err != nil {
		t.Fatalf("what is not there cannot be removed: %v", err)
	}
	for _, name := range []string{"y", "x"} {
		if _, err := d.Get(t.Context(), name, write("file")); err != nil {
			t.Fatal(err)
		}
	}
	if names, err := d.Names(); err != nil || !slices.Equal(names, []string{"x", "y"}) {
		t.Fatalf("%q, %v", names, err)
	}
	if err := d.Remove(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(string(d))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "y" && e.Name() != ".lock" {
			t.Errorf("left %q", e.Name())
		}
	}
}

func TestGetWaitsUntilTheContextEnds(t *testing.T) {
	d := Dir(t.TempDir())
	lock, err := d.lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.Get(ctx, "x", write("file")); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}
