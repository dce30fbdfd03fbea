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

// remember writes down which namespace it is, for survivor, and what it lacks.
func remember(record, ns *os.File, lacks string) error {
	inode, err := inodeOf(ns)
	if err == nil {
		err = record.Truncate(0)
	}
	if err == nil {
		_, err = record.WriteAt(fmt.Appendf(nil, "%d\n%s\n", inode, lacks), 0)
	}
	return err
}

func inodeOf(f *os.File) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return 0, err
	}
	return st.Ino, nil
}

// recall reads what remember wrote, 0 where no namespace was made since the last boot.
func recall(record *os.File) (inode uint64, lacks string) {
	text := make([]byte, 4096)
	n, _ := record.ReadAt(text, 0)
	number, lacks, _ := strings.Cut(string(text[:n]), "\n")
	inode, _ = strconv.ParseUint(strings.TrimSpace(number), 10, 64)
	return inode, strings.TrimSpace(lacks)
}

// survivor finds a namespace by a process that is in it, or in one below it, though nobody holds the record: containers
// whose keepers and supervisors were killed. Nil where there is none.
func survivor(inode uint64) (*os.File, error) {
	if inode == 0 {
		return nil, nil
	}
	own, err := os.Readlink("/proc/self/ns/user")
	if err != nil {
		return nil, err
	}
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	for _, process := range all {
		link := process + "/ns/user"
		// Most are in our namespace, or not ours to look at.
		if to, err := os.Readlink(link); err != nil || to == own {
			continue
		}
		ns, err := os.Open(link)
		if err != nil {
			continue
		}
		if found := ancestor(ns, inode); found != nil {
			return found, nil
		}
	}
	return nil, nil
}

// ancestor is the namespace of that number among one and those above it; it closes all others.
func ancestor(ns *os.File, inode uint64) *os.File {
	for {
		if n, err := inodeOf(ns); err == nil && n == inode {
			return ns
		}
		// EPERM is the end: the parent of ours is not below us (ioctl_ns(2)).
		parent, err := unix.IoctlRetInt(int(ns.Fd()), unix.NS_GET_PARENT)
		ns.Close()
		if err != nil {
			return nil
		}
		ns = os.NewFile(uintptr(parent), "user namespace")
	}
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
