package runtimetest

import (
	"context"
	"encoding/json"
	"errors"
	"os"
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
	if err != nil {
		b.Fatal(err)
	}
	subreaper(b)
	f := &fixture{rootfs: buildRoot(b), id: "pct-bench"}
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
