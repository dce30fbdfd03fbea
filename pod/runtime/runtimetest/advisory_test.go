package runtimetest

import (
	"strings"
	"testing"

	"github.com/pcompose/pcompose/pod/runtime"
)

// TestAdvisories tries what was published against every runtime there is. One that is older than the fix is not expected
// to hold, and said so.
func TestAdvisories(t *testing.T) {
	for _, name := range []string{"crun", "runc", string(runtime.BuiltIn)} {
		t.Run(name, func(t *testing.T) {
			path, kind, open := program(t, name)
			version := versionOf(path, kind)
			if version == "" {
				t.Fatalf("%s says no version", name)
			}
			subreaper(t)
			rootfs := buildRoot(t)
			t.Cleanup(removeCgroups)
			for _, a := range advisories() {
				t.Run(a.id, func(t *testing.T) {
					f := &fixture{T: t, r: open(t), rootfs: rootfs, id: "pct-" + strings.ReplaceAll(a.id, " ", "-")}
					got := a.attack(f)
					fix, known := a.fixed[kind]
					switch {
					case got == "":
					case known && older(version, fix):
						t.Skipf("SKIPPED: %s %s is older than %s, the fix of %s (%s): %s", name, version, fix, a.id, a.about, got)
					default:
						t.Errorf("%s %s: %s: %s", name, version, a.about, got)
					}
				})
			}
		})
	}
}

func TestOlder(t *testing.T) {
	for _, c := range []struct {
		version, than string
		want          bool
	}{{"1.1.5", "1.1.12", true}, {"1.1.12", "1.1.12", false}, {"1.8", "1.8.1", true}, {"2.0", "1.9.9", false}} {
		if got := older(c.version, c.than); got != c.want {
			t.Errorf("%s older than %s: %v", c.version, c.than, got)
		}
	}
}
