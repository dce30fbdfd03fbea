package state_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pcompose/pcompose/engine/state"
	"github.com/pcompose/pcompose/pod"
)

func newStore(t *testing.T) *state.Store {
	dir := t.TempDir()
	return state.New(filepath.Join(dir, "root"), filepath.Join(dir, "run"))
}

// shopFile is where the state of the project "shop" is kept.
func shopFile(s *state.Store) string {
	return filepath.Join(s.Dir("shop"), "project.json")
}

func edit(t *testing.T, s *state.Store, project string, f func(*state.Project)) {
	t.Helper()
	e, err := s.Edit(project)
	if err == nil {
		err = e.Change(f)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestRemembers(t *testing.T) {
	s := newStore(t)
	if p, err := s.Load("shop"); p != nil || err != nil {
		t.Fatalf("of nothing: %v, %v", p, err)
	}
	edit(t, s, "shop", func(p *state.Project) {
		p.Spec = pod.Spec{Name: "shop", Dir: "/src"}
		p.Containers["shop-web-1"] = state.Record{ID: "abc", Container: pod.Container{Name: "shop-web-1", Command: []string{}}}
	})
	p, err := s.Load("shop")
	if err != nil || p.Spec.Dir != "/src" || p.Containers["shop-web-1"].ID != "abc" {
		t.Fatalf("%+v, %v", p, err)
	}
	if c := p.Containers["shop-web-1"].Container; c.Command == nil || c.Entrypoint != nil {
		t.Errorf("empty and nil are not told apart: %#v, %#v", c.Command, c.Entrypoint)
	}
	for _, path := range []string{shopFile(s), s.Dir("shop")} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("others may read %s: %v, %v", path, info.Mode(), err)
		}
	}
	for range 2 { // idempotent
		if err := s.Remove("shop"); err != nil {
			t.Fatal(err)
		}
	}
	if p, err := s.Load("shop"); p != nil || err != nil {
		t.Errorf("after the removal: %v, %v", p, err)
	}
}

// TestCrashes: whatever a killed write has left beside the file, the old state is read and the next write works
// and cleans up.
func TestCrashes(t *testing.T) {
	s := newStore(t)
	edit(t, s, "shop", func(p *state.Project) { p.Spec.Dir = "/old" })
	whole, err := os.ReadFile(shopFile(s))
	if err != nil {
		t.Fatal(err)
	}
	tmp := filepath.Join(s.Dir("shop"), ".project.json.new")
	for _, n := range []int{0, 1, len(whole) / 2, len(whole)} {
		if err := os.WriteFile(tmp, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		if p, err := s.Load("shop"); err != nil || p.Spec.Dir != "/old" {
			t.Fatalf("%d bytes written: %v, %v", n, p, err)
		}
		edit(t, s, "shop", func(p *state.Project) { p.Spec.Dir = "/old" })
		if _, err := os.Stat(tmp); !os.IsNotExist(err) {
			t.Errorf("%d bytes written: %s is left: %v", n, tmp, err)
		}
	}
}

// TestCannotWrite: a write that fails says so and leaves the file as it was.
func TestCannotWrite(t *testing.T) {
	s := newStore(t)
	edit(t, s, "shop", func(p *state.Project) { p.Spec.Dir = "/old" })
	if err := os.Mkdir(filepath.Join(s.Dir("shop"), ".project.json.new"), 0o700); err != nil {
		t.Fatal(err)
	}
	e, err := s.Edit("shop")
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Change(func(p *state.Project) { p.Spec.Dir = "/new" }); err == nil || !strings.HasPrefix(err.Error(), "cannot write the project's state: ") {
		t.Error(err)
	}
	if p, err := s.Load("shop"); err != nil || p.Spec.Dir != "/old" {
		t.Errorf("%v, %v", p, err)
	}
}

// TestRefused: a state that cannot be understood is neither read nor written over.
func TestRefused(t *testing.T) {
	for content, want := range map[string]string{
		"":                                 "project.json is damaged: unexpected end of JSON input",
		`{"Version": 1, "Containers": {"`:  "project.json is damaged: unexpected end of JSON input",
		`{"Version": 1, "Spec": "text"}`:   "project.json is damaged: json: cannot unmarshal",
		"\x00\x00\x00\x00":                 "project.json is damaged: invalid character",
		`{"Version": 2}`:                   "it was written by a newer pcompose",
		`{"Version": 2, "Spec": ["new"]}`:  "it was written by a newer pcompose",
		`{"Spec": ["new"], "Version": 99}`: "it was written by a newer pcompose",
	} {
		s := newStore(t)
		if err := os.MkdirAll(s.Dir("shop"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(shopFile(s), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := s.Load("shop")
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), `cannot read the state of project "shop": `) {
			t.Errorf("%q: %v, want %s", content, err, want)
		}
		if _, err := s.Edit("shop"); err == nil {
			t.Errorf("%q may be edited", content)
		}
		if b, _ := os.ReadFile(shopFile(s)); string(b) != content {
			t.Errorf("%q has become %q", content, b)
		}
	}
}

// TestGroupCommit: an edit is on disk when its Change returns, however many come at once.
func TestGroupCommit(t *testing.T) {
	s := newStore(t)
	e, err := s.Edit("shop")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			name := fmt.Sprintf("c%d", i)
			if err := e.Change(func(p *state.Project) { p.Containers[name] = state.Record{ID: name} }); err != nil {
				t.Error(err)
			}
			if p, err := s.Load("shop"); err != nil || p.Containers[name].ID != name {
				t.Errorf("%s is not on disk: %v", name, err)
			}
			if e.Project().Containers[name].ID != name {
				t.Errorf("%s is not remembered", name)
			}
		})
	}
	all.Wait()
	if p, err := s.Load("shop"); err != nil || len(p.Containers) != 100 {
		t.Errorf("%d containers, %v", len(p.Containers), err)
	}
}

// TestCopy: what Project returns does not change with the next edit.
func TestCopy(t *testing.T) {
	s := newStore(t)
	e, err := s.Edit("shop")
	if err != nil {
		t.Fatal(err)
	}
	before := e.Project()
	if err := e.Change(func(p *state.Project) { p.Containers["a"] = state.Record{} }); err != nil {
		t.Fatal(err)
	}
	if len(before.Containers) != 0 || len(e.Project().Containers) != 1 {
		t.Errorf("before %v, after %v", before.Containers, e.Project().Containers)
	}
}

func TestNames(t *testing.T) {
	s := newStore(t)
	if names, err := s.Names(); err != nil || names != nil {
		t.Errorf("of nothing: %v, %v", names, err)
	}
	for _, name := range []string{"shop", "a", "0-_"} {
		edit(t, s, name, func(*state.Project) {})
	}
	// A project that is being removed, or made, has a directory and no file.
	if err := os.MkdirAll(s.Dir("half"), 0o700); err != nil {
		t.Fatal(err)
	}
	if names, err := s.Names(); err != nil || !slices.Equal(names, []string{"0-_", "a", "shop"}) {
		t.Errorf("%v, %v", names, err)
	}
}

// TestBadNames: a name becomes a directory's, so none leads elsewhere.
func TestBadNames(t *testing.T) {
	s := newStore(t)
	for _, name := range []string{"", ".", "..", "../shop", "a/b", "Shop", "-a", "_a", "a b", "a\n", "ä"} {
		_, lockErr := s.Lock(t.Context(), name, "up", nil)
		_, loadErr := s.Load(name)
		_, editErr := s.Edit(name)
		if lockErr == nil || loadErr == nil || editErr == nil {
			t.Errorf("%q: %v, %v, %v", name, lockErr, loadErr, editErr)
		}
	}
}

// TestRemoveBadName: nothing but a project is removed.
func TestRemoveBadName(t *testing.T) {
	s := newStore(t)
	edit(t, s, "shop", func(*state.Project) {})
	for _, name := range []string{"", "..", "../projects"} {
		if err := s.Remove(name); err == nil {
			t.Errorf("removed %q", name)
		}
	}
	if p, err := s.Load("shop"); err != nil || p == nil {
		t.Errorf("%v, %v", p, err)
	}
}

// TestLongDirs: nothing in the state is bound by how long a socket's path may be.
func TestLongDirs(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long/", 60))
	s := state.New(dir, dir)
	unlock, err := s.Lock(t.Context(), "shop", "up", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	edit(t, s, "shop", func(*state.Project) {})
	if p, err := s.Load("shop"); err != nil || p == nil {
		t.Errorf("%v, %v", p, err)
	}
}
