package runtimetest

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pcompose/pcompose/pod/runtime"
)

// BenchmarkCreateStart is the hot path of every start: two runs of the program. The delete is not counted.
func BenchmarkCreateStart(b *testing.B) {
	for _, name := range []string{"crun", "runc", string(runtime.BuiltIn)} {
		for _, procs := range []string{"", "GOMAXPROCS=1", "GOMAXPROCS=2"} {
			if name == "crun" && procs != "" {
				continue
			}
			b.Run(name+procs, func(b *testing.B) { createStart(b, name, procs) })
		}
	}
}

func createStart(b *testing.B, name, procs string) {
	path, kind, err := runtime.Find(runtime.Search{Name: name, PATH: os.Getenv("PATH")})
	if err != nil || os.Geteuid() != 0 {
		b.Skip("SKIPPED: needs root and", name)
	}
	b.Cleanup(removeCgroups)
	dir := b.TempDir()
	cfg := runtime.Config{Path: path, Kind: kind, Root: filepath.Join(dir, "root"), Scratch: filepath.Join(dir, "calls")}
	if procs != "" {
		cfg.Env = []string{"PATH=/usr/bin", procs}
	}
	r, err := runtime.New(cfg)
	rootfs := filepath.Join(dir, "rootfs")
	source := filepath.Join(dir, "probe.go")
	if err = errors.Join(err, os.Mkdir(rootfs, 0o755), os.WriteFile(source, probeSource, 0o600),
		unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)); err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command("go", "build", "-o", filepath.Join(rootfs, "probe"), source)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if err := cmd.Run(); err != nil {
		b.Fatal(err)
	}
	f := &fixture{rootfs: rootfs, id: "pct-bench"}
	text, err := json.Marshal(f.spec(false, []string{"/probe", "sleep"}))
	if err = errors.Join(err, os.WriteFile(filepath.Join(dir, "config.json"), text, 0o600)); err != nil {
		b.Fatal(err)
	}
	ctx := context.Background()
	for b.Loop() {
		made, err := r.Create(ctx, runtime.CreateOptions{ID: f.id, Bundle: dir})
		if err = errors.Join(err, r.Start(ctx, f.id)); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		go unix.Wait4(made.PID, nil, 0, nil)
		if err := r.Delete(ctx, f.id, true); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
