package volume

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pcompose/pcompose/pod"
)

func newStore(t *testing.T) *Store {
	t.Helper()
	return New(filepath.Join(t.TempDir(), "volumes"), func() time.Time { return time.Unix(1e9, 0) })
}

func TestCreate(t *testing.T) {
	s := newStore(t)
	want := pod.Volume{Name: "shop_data", Labels: map[string]string{"a": "b"}}
	for range 2 {
		if err := s.Create(want); err != nil {
			t.Fatal(err)
		}
	}
	v, err := s.Inspect("shop_data")
	if err != nil || v.Labels["a"] != "b" || !v.Created.Equal(time.Unix(1e9, 0)) || v.Driver != "local" {
		t.Errorf("%+v, %v", v, err)
	}
	if stat, err := os.Stat(v.Path); err != nil || stat.Mode().Perm() != 0o755 {
		t.Errorf("%v, %v", stat, err)
	}
	for _, test := range []struct {
		volume pod.Volume
		err    string
	}{
		{pod.Volume{Name: "shop_data", DriverOpts: map[string]string{"type": "tmpfs"}}, "exists with the driver options {}, not {type: tmpfs}"},
		{pod.Volume{Name: "ext", External: true}, "volume \"ext\" is external and does not exist: create it with `pcompose volume create ext`"},
		{pod.Volume{Name: "shop_data", External: true}, ""},
		{pod.Volume{Name: "a/../b"}, `volume name "a/../b" is not valid`},
		{pod.Volume{Name: ".new-x"}, "is not valid"},
		{pod.Volume{Name: strings.Repeat("a", 201)}, "more than 200 bytes"},
		{pod.Volume{Name: "x", Driver: "ceph"}, `no volume driver "ceph"`},
		{pod.Volume{Name: "x", DriverOpts: map[string]string{"size": "1"}}, `no option "size"`},
		{pod.Volume{Name: "x", DriverOpts: map[string]string{"type": "nfs"}}, `type "nfs" needs a device`},
	} {
		err := s.Create(test.volume)
		if test.err == "" && err != nil || test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)) {
			t.Errorf("%+v: %v", test.volume, err)
		}
	}
	if list, err := s.List(); err != nil || len(list) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
	if _, err := s.Inspect("none"); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
}

func TestCreateTogether(t *testing.T) {
	s := newStore(t)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if err := s.Create(pod.Volume{Name: "one"}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// A creation or removal that was killed leaves a directory with a dot, which nothing takes for a volume.
func TestLeftovers(t *testing.T) {
	s := newStore(t)
	for _, left := range []string{".new-a/_data", ".gone-a/_data/x"} {
		os.MkdirAll(filepath.Join(s.root, left), 0o755)
	}
	if list, err := s.List(); err != nil || len(list) > 0 {
		t.Errorf("%v, %v", list, err)
	}
	if err := s.Create(pod.Volume{Name: "a"}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Remove("a", nil); err != nil {
			t.Fatal(err)
		}
	}
	if entries, _ := os.ReadDir(s.root); len(entries) > 0 {
		t.Errorf("left: %v", entries)
	}
}

func TestDamagedRecord(t *testing.T) {
	s := newStore(t)
	s.Create(pod.Volume{Name: "a"})
	s.Create(pod.Volume{Name: "b"})
	file := filepath.Join(s.root, "a", "volume.json")
	for _, content := range []string{"", "{", `{"version": 9}`} {
		os.WriteFile(file, []byte(content), 0o600)
		list, err := s.List()
		if len(list) != 1 || list[0].Name != "b" || err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%q: %v, %v", content, list, err)
		}
	}
	os.Remove(file)
	if list, err := s.List(); len(list) != 2 || err != nil {
		t.Errorf("%v, %v", list, err)
	}
}

func TestRemoveAndPrune(t *testing.T) {
	s := newStore(t)
	if err := s.Remove("none", nil); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"a", "b", "c"} {
		s.Create(pod.Volume{Name: name})
	}
	if err := s.Remove("a", []string{"web-1", "web-2"}); err == nil || err.Error() != `cannot remove volume "a": containers "web-1", "web-2" use it` {
		t.Error(err)
	}
	removed, err := s.Prune(func(v Volume) bool { return v.Name == "b" })
	if err != nil || strings.Join(removed, " ") != "a c" {
		t.Errorf("%v, %v", removed, err)
	}
}

func TestMountsNeverDeleted(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: needs root to mount")
	}
	s := newStore(t)
	host := t.TempDir()
	os.WriteFile(filepath.Join(host, "precious"), nil, 0o600)
	for _, v := range []pod.Volume{
		{Name: "pct-bind", DriverOpts: map[string]string{"type": "none", "o": "bind", "device": host}},
		{Name: "pct-tmpfs", DriverOpts: map[string]string{"type": "tmpfs", "device": "none", "o": "size=1m,mode=0700"}},
	} {
		if err := s.Create(v); err != nil {
			t.Fatal(err)
		}
		var path string
		for range 2 {
			var err error
			if path, err = s.Mount(v.Name); err != nil {
				t.Fatal(err)
			}
		}
		t.Cleanup(func() { s.Unmount(v.Name) })
		if err := os.WriteFile(filepath.Join(path, v.Name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := s.Unmount(v.Name); err != nil {
				t.Fatal(err)
			}
		}
		if empty, err := isEmpty(path); err != nil || !empty {
			t.Errorf("%s: still mounted, %v", v.Name, err)
		}
		s.Mount(v.Name)
		if err := s.Remove(v.Name, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"precious", "pct-bind"} {
		if _, err := os.Stat(filepath.Join(host, name)); err != nil {
			t.Error("the host's files were deleted")
		}
	}
	s.Create(pod.Volume{Name: "pct-bad", DriverOpts: map[string]string{"type": "nofs", "o": "password=hunter2", "device": "/dev/null"}})
	if _, err := s.Mount("pct-bad"); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Error(err)
	}
	s.Create(pod.Volume{Name: "pct-gone", DriverOpts: map[string]string{"o": "bind", "device": host + "/none"}})
	if _, err := s.Mount("pct-gone"); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Error(err)
	}
}

func TestBindSubpath(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: needs root to mount")
	}
	s := newStore(t)
	s.Create(pod.Volume{Name: "v"})
	v, _ := s.Inspect("v")
	outside := t.TempDir()
	os.Mkdir(filepath.Join(v.Path, "sub"), 0o755)
	os.WriteFile(filepath.Join(v.Path, "sub", "in"), nil, 0o600)
	os.Symlink("/sub", filepath.Join(v.Path, "link"))
	os.Symlink(outside, filepath.Join(v.Path, "escape"))
	at := filepath.Join(t.TempDir(), "at")
	t.Cleanup(func() { Unbind(at) })
	for _, sub := range []string{"sub", "link", "link/in", "../../sub"} {
		for range 2 {
			if err := BindSubpath(v.Path, sub, at); err != nil {
				t.Fatalf("%s: %v", sub, err)
			}
		}
		if _, err := os.Stat(filepath.Join(at, "in")); err != nil && sub != "link/in" {
			t.Errorf("%s: %v", sub, err)
		}
		for range 2 {
			if err := Unbind(at); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, sub := range []string{"escape", "none"} {
		if err := BindSubpath(v.Path, sub, at); err == nil || !strings.Contains(err.Error(), "does not exist there") {
			t.Errorf("%s: %v", sub, err)
		}
	}
}
