package supervisor

import (
	"os"
	"path/filepath"
	"testing"
)

// What was meant for a cgroup goes, all else stays, and twice is once.
func TestWithoutCgroup(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.json")
	for was, want := range map[string]string{
		`{"linux":{"cgroupsPath":"/a/b","maskedPaths":["/x"],"resources":{"pids":{"limit":5}}},"ociVersion":"1.2.0"}`: `{"linux":{"maskedPaths":["/x"]},"ociVersion":"1.2.0"}`,
		`{"linux": {"maskedPaths": []}}`: `{"linux": {"maskedPaths": []}}`,
	} {
		if err := os.WriteFile(file, []byte(was), 0o600); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := withoutCgroup(file); err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(file); err != nil || string(got) != want {
				t.Errorf("%s, %v, want %s", got, err, want)
			}
		}
	}
}
