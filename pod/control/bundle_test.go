package control

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBundleOfAnEarlierBoot: a bundle outlives a reboot where the run directory is no tmpfs, and its mounts do not.
func TestBundleOfAnEarlierBoot(t *testing.T) {
	dir := t.TempDir()
	if err := WriteBundle(dir, Bundle{ID: "a"}); err != nil {
		t.Fatal(err)
	}
	b, err := ReadBundle(dir)
	if err != nil || b.ID != "a" {
		t.Fatalf("%+v, %v", b, err)
	}
	path := filepath.Join(dir, bundleFile)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	older := strings.Replace(string(text), b.Boot, "00000000-0000-0000-0000-000000000000", 1)
	if err := os.WriteFile(path, []byte(older), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadBundle(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a bundle of an earlier boot is read: %v", err)
	}
}
