package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/pcompose/pcompose/engine/scope"
	"github.com/pcompose/pcompose/engine/userns"
	"github.com/pcompose/pcompose/pod/control"
	"golang.org/x/sys/unix"
)

// delegation is where this process may make cgroups.
type delegation struct {
	// base is the cgroup above those of all pods, "" for the root of the tree; none says that there is no such place.
	base string
	none bool
	// systemd says that base is that of the user's systemd, to which this process does not belong: a pod has a scope there.
	systemd bool
}

// findDelegation: root may make cgroups anywhere. A user may in cgroup v2, in the part of the tree that systemd has given
// them (systemd.resource-control(5), Delegate=): the highest cgroup above this process whose files are theirs to write. A
// login session is in none; there the user's systemd is asked for a scope (putIntoScope), if it answers.
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
	if found.none && isUnified(cgroupMount) {
		if systemd, err := scope.Connect(userns.UID(), os.Getenv); err == nil {
			defer systemd.Close()
			if mayDelegate(filepath.Join(cgroupMount, systemd.Cgroup)) {
				found = delegation{base: systemd.Cgroup, systemd: true}
			}
		}
	}
	return found
}

// cgroup is the parent of a pod's cgroups, "" where this user can make none. It is the one that the pod was made with: another
// command may be in another part of the tree.
func (e *Engine) cgroup(project string) string {
	if userns.Rootless() {
		if made, err := control.ReadPod(e.state.RunDir(project)); err == nil && made.Cgroup != "" {
			return made.Cgroup
		}
	}
	d, name := e.delegation(), "pcompose-"+project+"-"+e.podID(project)
	switch {
	case d.none:
		return ""
	case d.systemd:
		return scope.Path(d.base, name)
	}
	return filepath.Join("/", d.base, name)
}

// putIntoScope has systemd put a pod's keeper into its scope, and makes the cgroups that a pod has there: one for the keeper
// and what it starts, since a cgroup with others below it has no processes of its own (cgroups(7), no internal processes).
// All of it goes with the scope.
func putIntoScope(cgroup, project string, keeper int) error {
	systemd, err := scope.Connect(userns.UID(), os.Getenv)
	if err != nil {
		return err
	}
	defer systemd.Close()
	if err := systemd.Enter(cgroup, "pcompose project "+project, keeper); err != nil {
		return err
	}
	dir := filepath.Join(cgroupMount, cgroup)
	own := filepath.Join(dir, "keeper")
	if err := os.Mkdir(own, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := os.WriteFile(filepath.Join(own, "cgroup.procs"), []byte(strconv.Itoa(keeper)), 0); err != nil {
		return fmt.Errorf("cannot move the pod's keeper within its scope: %w", err)
	}
	controllers, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	for _, c := range strings.Fields(string(controllers)) {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+c), 0))
	}
	return err
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
