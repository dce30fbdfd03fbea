package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// letPass lets a container pass to its root and the files it gets from us, where its user namespace does not know the owner
// of the folders above: the OCI runtime opens them as the container's root. They become searchable, not readable, for
// others. Folders of other owners are left as they are.
func letPass(paths ...string) error {
	for _, path := range paths {
		for dir := filepath.Clean(path); dir != "/"; dir = filepath.Dir(dir) {
			var st unix.Stat_t
			if err := unix.Stat(dir, &st); err != nil {
				return fmt.Errorf("cannot let the container pass to %s: %w", path, err)
			}
			if st.Mode&unix.S_IFMT != unix.S_IFDIR || st.Mode&0o001 != 0 || int(st.Uid) != os.Geteuid() {
				continue
			}
			if err := unix.Chmod(dir, st.Mode&0o7777|0o001); err != nil {
				return fmt.Errorf("cannot let the container pass to %s: %w", path, err)
			}
		}
	}
	return nil
}

// knowsCaller says whether a user namespace has an ID for the one that we are here.
func knowsCaller(uids []specs.LinuxIDMapping) bool {
	return slices.ContainsFunc(uids, func(m specs.LinuxIDMapping) bool { return m.HostID == 0 })
}
