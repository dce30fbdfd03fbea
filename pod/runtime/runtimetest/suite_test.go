package runtimetest

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pcompose/pcompose/pod/runtime"
	"github.com/pcompose/pcompose/pod/runtime/builtin" // so that the test binary is the runtime as well
)

func TestFake(t *testing.T) {
	Suite(t, func(*testing.T) runtime.Runtime { return NewFake() })
}

func TestCrun(t *testing.T) { real(t, "crun") }
func TestRunc(t *testing.T) { real(t, "runc") }

func TestBuiltIn(t *testing.T) { real(t, string(runtime.BuiltIn)) }

func real(t *testing.T, name string) {
	path, kind, open := program(t, name)
	t.Logf("%s %s", path, versionOf(path, kind))
	Suite(t, open)
}

// program finds a runtime, and gives a function that makes one of its own for each test.
func program(t *testing.T, name string) (string, runtime.Kind, func(t *testing.T) runtime.Runtime) {
	if os.Geteuid() != 0 {
		t.Skipf("SKIPPED: %s needs root for its test", name)
	}
	path, kind, err := runtime.Find(runtime.Search{Name: name, PATH: os.Getenv("PATH")})
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	return path, kind, func(t *testing.T) runtime.Runtime {
		dir, err := os.MkdirTemp("", "pct")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := os.RemoveAll(dir); err != nil {
				t.Error(err)
			}
		})
		cfg := runtime.Config{Path: path, Kind: kind, Root: filepath.Join(dir, "root"), Scratch: filepath.Join(dir, "calls")}
		if kind == runtime.BuiltIn {
			cfg.Begin = builtin.Start
		}
		r, err := runtime.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
}

// TestRuncLeftMounted: what a killed runc has left mounted in a container's directory does not keep it from being removed.
func TestRuncLeftMounted(t *testing.T) {
	path, kind, _ := program(t, "runc")
	dir := t.TempDir()
	r, err := runtime.New(runtime.Config{Path: path, Kind: kind, Root: filepath.Join(dir, "root"), Scratch: filepath.Join(dir, "calls")})
	if err != nil {
		t.Fatal(err)
	}
	container := filepath.Join(dir, "root", "pct-left")
	mounted := filepath.Join(container, "runc.AbCdEf")
	if err := os.MkdirAll(container, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(mounted, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(path, mounted, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(mounted, unix.MNT_DETACH) })
	if err := r.Delete(t.Context(), "pct-left", true); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(container); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s: %v", container, err)
	}
}
