package engine

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/pcompose/pcompose/engine/userns"
	"golang.org/x/sys/unix"
)

// delegation is where this process may make cgroups.
type delegation struct {
	// base is the cgroup above those of all pods, "" for the root of the tree; none says that there is no such place.
	base string
	none bool
}

// findDelegation: root may make cgroups anywhere. A user may in cgroup v2, in the part of the tree that systemd has given
// them (systemd.resource-control(5), Delegate=): the highest cgroup above this process whose files are theirs to write.
func findDelegation() delegation {
	if !userns.Rootless() {
		return delegation{}
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return delegation{none: true}
	}
	found := delegation{none: true}
	for line := range strings.Lines(string(own)) {
		cgroup, ok := strings.CutPrefix(strings.TrimSpace(line), "0::")
		if !ok || !isUnified(cgroupMount) {
			continue
		}
		for ; cgroup != "/" && cgroup != "."; cgroup = filepath.Dir(cgroup) {
			if mayDelegate(filepath.Join(cgroupMount, cgroup)) {
				found = delegation{base: cgroup}
			}
		}
	}
	return found
}

// mayDelegate says whether cgroups can be made below one, and processes moved between them.
func mayDelegate(dir string) bool {
	for _, file := range []string{dir, filepath.Join(dir, "cgroup.procs"), filepath.Join(dir, "cgroup.subtree_control")} {
		if unix.Access(file, unix.W_OK) != nil {
			return false
		}
	}
	return true
}

func isUnified(mount string) bool {
	var st unix.Statfs_t
	return unix.Statfs(mount, &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC
}
