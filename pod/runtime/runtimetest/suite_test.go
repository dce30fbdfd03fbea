package runtimetest

import (
	"os"
	"path/filepath"
	"testing"

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
		t.Cleanup(func() { os.RemoveAll(dir) })
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
