package userns

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// recordFile is locked by all who are in the namespaces. Its first line is the number of the user namespace, what follows is
// what the user was told that it lacks.
const recordFile = ".userns"

// Record is the file that whoever stays in the namespaces locks, one byte at its process ID for reading; "" for root,
// whose pods need no namespace.
func Record() (string, error) {
	if !Rootless() {
		return "", nil
	}
	dir, err := Dir()
	return filepath.Join(dir, recordFile), err
}

// recall reads what the constructor wrote, and tell.
func recall(record []byte) (inode, lacks string) {
	inode, lacks, _ = strings.Cut(string(record), "\n")
	return strings.TrimSpace(inode), strings.TrimSpace(lacks)
}

// Dir is the directory of a user for what does not outlive a reboot: $XDG_RUNTIME_DIR/pcompose, or below what podman takes
// where there is none: /run/user/UID, else storage-run-UID in the directory of temporary files. It must be the user's own.
func Dir() (string, error) {
	if xdg := os.Getenv("XDG_RUNTIME_DIR"); xdg != "" {
		return filepath.Join(xdg, "pcompose"), nil
	}
	uid := UID()
	for _, dir := range []string{fmt.Sprintf("/run/user/%d", uid), filepath.Join(os.TempDir(), fmt.Sprintf("storage-run-%d", uid))} {
		_ = os.Mkdir(dir, 0o700) // the look that follows tells
		var st unix.Stat_t
		if unix.Lstat(dir, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR && int(st.Uid) == os.Geteuid() && st.Mode&0o022 == 0 {
			return filepath.Join(dir, "pcompose"), nil
		}
	}
	return "", errors.New("cannot find a runtime directory: XDG_RUNTIME_DIR is not set, and there is neither /run/user/" + strconv.Itoa(uid) + " nor one of the user's own in " + os.TempDir() + ": log in through a login manager, or set --runroot")
}
