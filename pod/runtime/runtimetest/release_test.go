package runtimetest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// TestCrunStartHooks: what crun's start does beside the start, its hooks, is not lost where the start is done without it.
func TestCrunStartHooks(t *testing.T) {
	_, _, open := program(t, "crun")
	subreaper(t)
	f := &fixture{T: t, r: open(t), rootfs: buildRoot(t), id: "pct-start-hooks"}
	t.Cleanup(removeCgroups)
	o := f.bundle(false, "/probe", "term")
	ran := filepath.Join(o.Bundle, "ran")
	spec := f.spec(false, []string{"/probe", "term"})
	// It must read its input: crun does not live through a broken pipe.
	spec.Hooks = &specs.Hooks{Poststart: []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", "cat > " + ran}}}}
	text, err := json.Marshal(spec)
	f.must(err)
	f.must(os.WriteFile(filepath.Join(o.Bundle, "config.json"), text, 0o600))
	out := f.pipe()
	o.Stdout = out.w
	_, err = f.r.Create(f.Context(), o)
	f.must(err)
	f.must(f.r.Start(f.Context(), f.id))
	out.line(f)
	if _, err := os.Stat(ran); err != nil {
		t.Error(err)
	}
}
