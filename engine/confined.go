package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// bindDevices shows the host's device nodes in place of making new ones, which nobody may in a user namespace (mknod(2)).
// Those that the user may not open are left out where the container did not ask for each by name.
func bindDevices(spec *specs.Spec, named bool) error {
	for _, d := range spec.Linux.Devices {
		source, err := hostNode(d)
		if err != nil {
			return err
		}
		if !named && unix.Access(source, unix.R_OK) != nil {
			continue
		}
		spec.Mounts = append(spec.Mounts, specs.Mount{
			Destination: d.Path, Type: "bind", Source: source, Options: []string{"bind", "rprivate", "nosuid", "noexec", "rw"},
		})
	}
	spec.Linux.Devices = nil
	return nil
}

// hostNode finds the node of a device on the host: at its path in the container, or where the kernel has it (sysfs(5)).
func hostNode(d specs.LinuxDevice) (string, error) {
	number := unix.Mkdev(uint32(d.Major), uint32(d.Minor))
	kind, class := uint32(unix.S_IFCHR), "char"
	if d.Type == "b" {
		kind, class = unix.S_IFBLK, "block"
	}
	is := func(path string) bool {
		var st unix.Stat_t
		return unix.Stat(path, &st) == nil && st.Mode&unix.S_IFMT == kind && st.Rdev == number
	}
	if is(d.Path) {
		return d.Path, nil
	}
	event, _ := os.ReadFile(fmt.Sprintf("/sys/dev/%s/%d:%d/uevent", class, d.Major, d.Minor))
	for line := range strings.Lines(string(event)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "DEVNAME="); ok && is(filepath.Join("/dev", name)) {
			return filepath.Join("/dev", name), nil
		}
	}
	return "", fmt.Errorf("cannot add device %q: the host has no node of %s %d:%d, and a user may make none", d.Path, class, d.Major, d.Minor)
}

// errNoFreezer says why a container cannot be paused.
var errNoFreezer = errors.New("it has no cgroup of its own, which is what is frozen: none is delegated to this user " +
	"(cgroup v2 with systemd does that, for logins: systemd.resource-control(5), Delegate=)")

// Freezes is nil where containers can be paused, and says why they cannot.
func Freezes(e *Engine) error {
	if e.delegation().none {
		return errNoFreezer
	}
	return nil
}
